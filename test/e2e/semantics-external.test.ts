import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'
import { hostPort } from '../cluster/addressing.ts'
import { nodeObject, type KubeObject } from '../cluster/objects.ts'
import { askOnce } from '../cluster/traffic.ts'
import { answerOutside, outside } from './outside.ts'
import { eventually, serviceFor, servingForAll, vipPort } from './serving.ts'

/*
 * Service 1 has the addresses that are tried, Service 2 is another one. Whatever the agent leaves
 * alone, a machine outside answers.
 */
const served = 'node2/b'
const allowed = '198.51.100.0/25,fd51::/120,10.96.0.0/24,10.244.0.0/16,192.168.50.0/24'
const serving = servingForAll(
  { profile: 'ptp', masquerade: true },
  { flags: [`--external-ip-cidrs=${allowed}`] },
  (cluster) => [
    ...cluster.nodes.map((node) => nodeObject(node)),
    ...[1, 2].flatMap((n) => serviceFor(cluster, n, [cluster.nodes[1]!.pod('b')])),
  ],
)

let answered: Promise<void> | undefined
beforeEach(() => (answered ??= answerOutside(serving.cluster, ['198.51.100.0/24', 'fd51::/64'])))

const inside = ['198.51.100.7', 'fd51::7']
const beyond = ['198.51.100.207', 'fd51::1:7']

test('external addresses are served inside the allowed ranges only', async () => {
  await untilMet([...inside, ...beyond], outside)
  put(external([...inside, ...beyond]))
  await untilMet(inside, served)
  await untilMet(beyond, outside)
  await untilTold('"198.51.100.207"', 'not in a range')
  put(external([inside[0]!]))
  await untilMet([inside[1]!], outside)
  await untilMet([inside[0]!], served)
  put(external([]))
  await untilMet(inside, outside)
})

test('an external address of somebody else is theirs', async () => {
  const { cluster, node1, pod, vip } = serving
  const theirs = {
    [cluster.clusterIp(2)]: 'cluster IP of Service default/web2',
    [pod(1, 'b').addresses.IPv4]: 'address of pods',
    [node1.addresses.IPv4]: 'address of this node',
  }
  put(external([...Object.keys(theirs), inside[0]!]))
  await untilMet([inside[0]!], served)
  for (const [address, reason] of Object.entries(theirs)) await untilTold(`"${address}"`, reason)
  for (const address of [pod(1, 'b').addresses.IPv4, node1.addresses.IPv4]) {
    const answer = await askOnce(pod(1, 'a'), hostPort(address, vipPort))
    assert.ok(!answer.ok && answer.error === 'ECONNREFUSED', JSON.stringify(answer))
  }
  const other = await askOnce(pod(1, 'a'), vip(2))
  assert.ok(other.ok && other.name === served, JSON.stringify(other))
  put(external([]))
})

for (const [what, ipMode, expected] of [
  ['without an ipMode', undefined, served],
  ['with ipMode VIP', 'VIP', served],
  ['with ipMode Proxy', 'Proxy', outside],
] as const)
  test(`a load balancer's address ${what}: a pod gets ${expected}`, async () => {
    /* The other way round first, so that nothing passes by doing nothing. */
    put(balanced(inside, expected === served ? 'Proxy' : 'VIP'))
    await untilMet(inside, expected === served ? outside : served)
    put(balanced(inside, ipMode))
    await untilMet(inside, expected)
    await untilMet([serving.cluster.clusterIp(1)], served)
    put(external([]))
    await untilMet(inside, outside)
  })

test('of several addresses of a load balancer each has its own mode', async () => {
  const [vip, proxied] = [inside[0]!, '198.51.100.8']
  const ingress = [{ ip: vip, ipMode: 'VIP' }, { ip: proxied, ipMode: 'Proxy' }, { hostname: 'lb' }]
  put({ ...balanced([]), status: { loadBalancer: { ingress } } })
  await untilMet([vip], served)
  await untilMet([proxied], outside)
  /* Status goes when the balancer is taken away, the Service stays. */
  put({ ...balanced([]), status: { loadBalancer: {} } })
  await untilMet([vip], outside)
  await untilMet([serving.cluster.clusterIp(1)], served)
})

test('what a balancer and a list of external addresses both give is served until both take it', async () => {
  const both = { ...balanced(inside), ...withSpec({ type: 'LoadBalancer', externalIPs: inside }) }
  put(both)
  await untilMet(inside, served)
  put({ ...both, status: { loadBalancer: {} } })
  await untilMet([serving.cluster.clusterIp(1), ...inside], served)
  put(withSpec({ type: 'LoadBalancer' }))
  await untilMet(inside, outside)
})

function withSpec(spec: Readonly<Record<string, unknown>>): KubeObject {
  const [object] = serviceFor(serving.cluster, 1, [], spec)
  return object!
}

function external(externalIPs: readonly string[]): KubeObject {
  return withSpec({ externalIPs })
}

function balanced(ips: readonly string[], ipMode?: string): KubeObject {
  const ingress = ips.map((ip) => ({ ip, ...(ipMode !== undefined && { ipMode }) }))
  return { ...withSpec({ type: 'LoadBalancer' }), status: { loadBalancer: { ingress } } }
}

function put(object: KubeObject): void {
  serving.cluster.objects.put(object)
}

/** Waits until a pod of node 1 meets this at each address, by TCP and UDP. */
async function untilMet(addresses: readonly string[], expected: string): Promise<void> {
  const meet = async (address: string, udp: boolean): Promise<void> =>
    eventually(async () => {
      const target = hostPort(address, vipPort)
      const answer = await askOnce(serving.pod(1, 'a'), target, { udp, timeoutMs: 500 })
      assert.equal(answer.ok ? answer.name : answer.error, expected, target)
    }, 2_000)
  await Promise.all(addresses.flatMap((at) => [meet(at, false), meet(at, true)]))
}

/** Waits for a line of the agent that names a value and why it is not served. */
async function untilTold(value: string, reason: string): Promise<void> {
  await eventually(() => {
    const lines = serving.agents[0]!.log().split('\n')
    assert.ok(
      lines.some((line) => line.includes(value) && line.includes(reason)),
      value,
    )
  })
}
