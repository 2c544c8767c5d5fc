import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { hostPort } from '../cluster/addressing.ts'
import { podSlices, service } from '../cluster/objects.ts'
import { askOnce, dial, pingPong } from '../cluster/traffic.ts'
import type { Family, Place, VipRoutes } from '../cluster/types.ts'
import { readMetric } from './metrics-page.ts'
import { families, podPort, startServing, untilServed, vipPort, type Serving } from './serving.ts'

/*
 * Who may use a load balancer's address, what becomes of addresses that nobody has, and whether
 * two nodes choose alike.
 */
const balancers = {
  ranged: { IPv4: '203.0.113.1', IPv6: '2001:db8:113::1' },
  alike: { IPv4: '203.0.113.2', IPv6: '2001:db8:113::2' },
  local: { IPv4: '203.0.113.3', IPv6: '2001:db8:113::3' },
} as const
const nodePort = 30_083
const checkPort = 30_084
const cidrs = ['203.0.113.0/24', '2001:db8:113::/64']
const ports = [
  { name: 'tcp', port: vipPort, targetPort: podPort },
  { name: 'udp', port: vipPort, targetPort: podPort, protocol: 'UDP' as const },
]

const flags = ['--service-cidrs=10.96.0.0/16,fd00:10:96::/112']
let serving: Serving
let client: Place & VipRoutes
let stranger: Place & VipRoutes

before(async () => {
  serving = await startServing({ profile: 'ptp', podsPerNode: 3 }, { flags })
  const { cluster, node1 } = serving
  client = await cluster.addOutsideClient('client')
  stranger = await cluster.addOutsideClient('stranger')
  for (const one of [client, stranger])
    await one.routeVia(node1, [...cidrs, ...Object.values(cluster.serviceCidrs)])
  const annotations = { 'kube-shunt.io/load-balancing': 'maglev' }
  cluster.objects.put(...behind(2, 'alike', { annotations }), ...rangedTo(client))
})
after(() => serving.cluster.close())

/** Service 1, for a place alone. */
function rangedTo({ addresses }: Place) {
  const loadBalancerSourceRanges = [`${addresses.IPv4}/32`, `${addresses.IPv6}/128`]
  return behind(1, 'ranged', { spec: { loadBalancerSourceRanges } })
}

/** A Service with these pods behind it. */
function behind(
  n: number,
  name: keyof typeof balancers,
  more: {
    spec?: Readonly<Record<string, unknown>>
    annotations?: Readonly<Record<string, string>>
  },
  pods = serving.cluster.pods,
) {
  const { cluster } = serving
  const { spec = {}, annotations = {} } = more
  const web = service({
    name: `web${n}`,
    type: 'LoadBalancer',
    ports: name === 'local' ? ports.map((port) => ({ ...port, nodePort })) : ports,
    clusterIps: families.map((family) => cluster.clusterIp(n, family)),
    ingressIps: Object.values(balancers[name]),
    spec,
  })
  const annotated = { ...web, metadata: { ...web.metadata, annotations } }
  return [annotated, ...podSlices({ service: `web${n}`, ports }, pods)]
}

function balancer(name: keyof typeof balancers, family: Family): string {
  return hostPort(balancers[name][family], vipPort)
}

async function outcome(place: Place, target: string, udp = false, sourcePort?: number) {
  const options = { udp, timeoutMs: 400, ...(sourcePort !== undefined && { sourcePort }) }
  const answer = await askOnce(place, target, options)
  return answer.ok ? answer.name : answer.error
}

for (const family of families)
  test(`${family}: a load balancer with source ranges serves those in them alone`, async () => {
    const target = balancer('ranged', family)
    const pod = serving.pod(1, 'a')
    await untilServed(client, target)
    for (const udp of [false, true]) {
      assert.match(await outcome(client, target, udp), /^node/)
      assert.equal(await outcome(stranger, target, udp), 'timeout')
      assert.equal(await outcome(pod, target, udp), 'timeout')
      assert.match(await outcome(stranger, balancer('alike', family), udp), /^node/)
      assert.match(await outcome(pod, serving.vip(1, family), udp), /^node/)
    }
    const drops = 'kubeshunt_datapath_drops_total'
    assert.ok((await readMetric(serving.agents[0]!, drops, 'source_range')) >= 4)
  })

test('ranges that change are followed, and an established connection outlives them', async () => {
  const target = balancer('ranged', 'IPv4')
  const flows = await pingPong(client, target, 3, { intervalMs: 20 })
  serving.cluster.objects.put(...rangedTo(stranger))
  await untilServed(stranger, target)
  assert.equal(await outcome(client, target), 'timeout')
  serving.cluster.objects.put(...rangedTo(client))
  await untilServed(client, target)
  const { resets, closed, timeouts } = await flows.stop()
  assert.deepEqual([resets, closed, timeouts], [0, 0, 0])
})

for (const family of families)
  test(`${family}: under a Local policy a node serves its own pods, or nobody`, async () => {
    const { cluster, node1, node2 } = serving
    const spec = { externalTrafficPolicy: 'Local', healthCheckNodePort: checkPort }
    const local = behind(3, 'local', { spec }, [node2.pod('a'), node2.pod('b')])
    cluster.objects.put(...local)
    const [here, there] = [node1, node2].map((node) => hostPort(node.addresses[family], nodePort))
    await untilServed(client, there!)
    for (const udp of [false, true]) {
      const { ok, backends, peers } = await dial(client, there!, { udp, count: 60, rate: 500 })
      assert.deepEqual([ok, peers], [60, { [client.addresses[family]]: 60 }])
      assert.deepEqual(Object.keys(backends).sort(), ['node2/a', 'node2/b'])
      assert.equal(await outcome(client, here!, udp), 'timeout')
      assert.match(await outcome(serving.pod(1, 'a'), here!, udp), /^node2/)
    }
    const health = await client.exec([
      ...['curl', '--silent', '--max-time', '3', '--globoff'],
      `http://${hostPort(node2.addresses[family], checkPort)}/`,
    ])
    assert.match(health.stdout, /"localEndpoints": ?2/)
  })

test('an address of a service range that nobody has is not routed on', async () => {
  const read = () =>
    readMetric(serving.agents[0]!, 'kubeshunt_datapath_drops_total', 'unallocated_vip')
  const before = await read()
  for (const family of families)
    for (const place of [client, serving.pod(1, 'a')])
      for (const udp of [false, true])
        assert.equal(await outcome(place, serving.vip(77, family), udp), 'timeout')
  assert.ok((await read()) - before >= 8)
})

for (const family of families)
  test(`${family}: nodes with Maglev choose alike, so datagrams outlive a change of nodes`, async () => {
    const { node1, node2 } = serving
    const target = balancer('alike', family)
    const choose = async (): Promise<string[]> => {
      const names: string[] = []
      for (let port = 41_000; port < 41_010; port++)
        names.push(await outcome(stranger, target, true, port))
      return names
    }
    const [cidr] = [balancers.alike[family]]
    await stranger.routeVia(node1, [cidr])
    const first = await choose()
    await stranger.routeVia(node2, [cidr])
    assert.deepEqual(await choose(), first)
    assert.ok(new Set(first).size > 1, first.join())
    const flows = await pingPong(stranger, target, 10, { udp: true, intervalMs: 20 })
    await stranger.routeVia(node1, [cidr])
    const { pings } = flows.latest() ?? { pings: 0 }
    await flows.until((report) => report.pings > pings + 50)
    assert.equal((await flows.stop()).switched, 0)
  })
