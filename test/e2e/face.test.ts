import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { service, type KubeObject } from '../cluster/objects.ts'
import { askOnce } from '../cluster/traffic.ts'
import type { Running } from '../cluster/types.ts'
import { kubeadmNode, type KubeadmNode } from './face.ts'
import { answerOn, eventually, serviceFor, slicesFor, untilServed, vipPort } from './serving.ts'

let kubeadm: KubeadmNode
let proxy: Running
const within = 10_000

before(async () => {
  kubeadm = await kubeadmNode()
  await answerOn(kubeadm.node.pod('b'))
  put(...serviceFor(kubeadm.cluster, 1, [kubeadm.node.pod('b')]))
  proxy = kubeadm.start()
})
after(() => kubeadm.close())

test('the command, config.conf and kubeconfig.conf of kubeadm run unchanged', async () => {
  const { node, server } = kubeadm
  await untilServed(node.pod('a'), vip(1), { by: 'node1/b', within })
  const [watch] = server.requests.filter(({ query }) => query.has('watch'))
  assert.equal(watch?.headers['authorization'], 'Bearer the-service-account-token')
  const lines = proxy.stderr().trimEnd().split('\n')
  assert.ok(lines.length > 3)
  for (const line of lines) {
    assert.match(line, /^[IWE]\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ \S+:\d+\] "[^"]+"( \w+=.*)?$/)
  }
  for (const said of [
    /^I.*"Version info" version=/,
    /^I.*"Using kube-shunt Proxier"$/,
    /^I.*"Successfully retrieved NodeIPs" addresses=\["[^"]+"/,
    /^I.*"SyncProxyRules complete" services=\d+ ops=\d+ elapsed="[\d.]+ms"$/,
    /^W.*"Kube-proxy configuration may be incomplete or incorrect" reason="nodePortAddresses is unset/,
  ]) {
    assert.equal(lines.filter((line) => said.test(line)).length, 1, String(said))
  }
  assert.equal(lines.filter((line) => line.startsWith('W')).length, 1, 'no other warning')
})

test('its ports answer as those of kube-proxy', async () => {
  const healthz = await get(':10256/healthz')
  assert.equal(healthz.status, 200)
  const keys = ['lastUpdated', 'currentTime', 'nodeEligible', 'healthy', 'status']
  assert.deepEqual(Object.keys(JSON.parse(healthz.body) as object), keys)
  assert.equal((await get(':10249/proxyMode')).body, 'kube-shunt')
  const configz = JSON.parse((await get(':10249/configz')).body) as {
    'kubeproxy.config.k8s.io': { clusterCIDR: string; healthzBindAddress: string }
  }
  assert.equal(configz['kubeproxy.config.k8s.io'].clusterCIDR, '10.244.0.0/16')
  assert.equal(configz['kubeproxy.config.k8s.io'].healthzBindAddress, '0.0.0.0:10256')
  assert.match((await get(':10249/flagz')).body, /^cluster-cidr=10\.244\.0\.0\/16$/m)
})

test("an idle TCP flow lives as long as kube-proxy's default says", async () => {
  const path = `${kubeadm.node.bpffs}/v1/programs/shunt_ingress_ethernet`
  const { stdout } = await kubeadm.node.exec(['bpftool', '-j', 'prog', 'show', 'pinned', path])
  const { map_ids: ids } = JSON.parse(stdout) as { map_ids: readonly number[] }
  const dumps = await Promise.all(ids.map((id) => rodata(id)))
  const settings = dumps.find((dump) => dump.includes('ticks_tcp_established')) ?? ''
  const ticks = Number(/"ticks_tcp_established":\s*(\d+)/.exec(settings)?.[1])
  assert.equal(ticks, Math.ceil((24 * 3600 * 1e9) / 2 ** 30))
})

test('a health-check node port tells how many endpoints are here', async () => {
  const balanced = { externalTrafficPolicy: 'Local', healthCheckNodePort: 31008 }
  put(...balancer(2, balanced), ...slicesFor(2, [kubeadm.node.pod('b')]))
  const answer = await eventually(async () => {
    const got = await get(':31008/any')
    assert.equal(got.status, 200)
    return got
  }, within)
  assert.equal(
    answer.body,
    '{\n\t"service": {\n\t\t"namespace": "default",\n\t\t"name": "web2"\n\t},\n' +
      '\t"localEndpoints": 1,\n\t"serviceProxyHealthy": true\n}',
  )
  assert.match(answer.head, /^X-Load-Balancing-Endpoint-Weight: 1\r$/m)
  put(...slicesFor(2, [kubeadm.node.pod('b')], { ready: false, serving: true, terminating: true }))
  await eventually(async () => assert.equal((await get(':31008/')).status, 503), within)
  kubeadm.server.delete({ kind: 'Service', namespace: 'default', name: 'web2' })
  await eventually(() => assert.rejects(get(':31008/')), within)
})

test('Events tell of the start, of a port that is taken and of what is refused', async () => {
  const taken = { externalTrafficPolicy: 'Local', healthCheckNodePort: 10256 }
  put(...balancer(3, taken))
  const [bad] = balancer(4, {})
  put({ ...bad!, spec: { ...(bad!['spec'] as object), loadBalancerSourceRanges: ['nonsense'] } })
  const event = (reason: string): Promise<KubeObject> =>
    eventually(() => {
      const found = kubeadm.server.list('Event').find((one) => one['reason'] === reason)
      assert.ok(found, `no Event ${reason}`)
      return found
    }, within)
  const starting = await event('Starting')
  assert.equal(starting['type'], 'Normal')
  assert.equal(starting['reportingController'], 'kube-proxy')
  assert.equal((starting['regarding'] as { name: string }).name, 'node1')
  const failed = await event('FailedToStartServiceHealthcheck')
  const about = failed['regarding'] as { name: string; uid: string }
  assert.equal(about.name, 'web3')
  assert.equal(about.uid, balancer(3, taken)[0]!.metadata.uid)
  assert.match(String(failed['note']), /^node node1 failed to start healthcheck .* on port 10256: /)
  const refused = await event('NotServedAsWritten')
  assert.match(String(refused['note']), /loadBalancerSourceRanges\[0\]: .*nonsense/)
  for (const name of ['web3', 'web4'])
    kubeadm.server.delete({ kind: 'Service', namespace: 'default', name })
})

test('metrics tell of requests, and of the time from a change to its programming', async () => {
  const [slice] = slicesFor(1, [kubeadm.node.pod('b')], { serving: true })
  const changed = new Date(Date.now() - 100).toISOString()
  const annotations = { 'endpoints.kubernetes.io/last-change-trigger-time': changed }
  const moved = slicesFor(1, [kubeadm.node.pod('a'), kubeadm.node.pod('b')])[0]!
  put({ ...moved, metadata: { ...moved.metadata, annotations } })
  await eventually(async () => {
    const { body } = await get(':10249/metrics')
    const count = /^kubeproxy_network_programming_duration_seconds_count\{ip_family="IPv4"\} (\d+)/m
    assert.equal(count.exec(body)?.[1], '1')
    assert.match(body, /^rest_client_requests_total\{code="200",host="[^"]+",method="GET"\} \d/m)
    assert.match(body, /^rest_client_requests_total\{code="201",host="[^"]+",method="POST"\} \d/m)
  }, within)
  put(slice!)
})

test('a changed configuration ends it with status 1, and traffic goes on', async () => {
  kubeadm.writeConfig((text) => `${text}# edited\n`)
  const { code, stderr } = await proxy.exited
  assert.equal(code, 1)
  assert.match(stderr, /content of the proxy server's configuration file was updated/)
  const answer = await askOnce(kubeadm.node.pod('a'), vip(1), { timeoutMs: 1000 })
  assert.equal(answer.ok, true)
})

test('with bindAddressHardFail a taken port ends it with status 1', async () => {
  const holder = kubeadm.node.spawn([
    process.execPath,
    '-e',
    "require('net').createServer().listen(10256, () => console.log('holding'))",
  ])
  await holder.waitForLine((line) => line === 'holding')
  kubeadm.writeConfig((text) => text.replace('HardFail: false', 'HardFail: true'))
  const { code, stderr } = await kubeadm.start().exited
  assert.equal(code, 1)
  assert.match(stderr, /serve healthz on .*10256: .*EADDRINUSE/)
  await holder.stop()
})

test('--init-only makes the pins, --cleanup removes everything', async () => {
  const prepared = await kubeadm.start(['--init-only']).exited
  assert.equal(prepared.code, 0, prepared.stderr)
  assert.ok(existsSync(`${kubeadm.node.bpffs}/v1/programs/shunt_ingress_ethernet`))
  const cleaned = await kubeadm.start(['--cleanup']).exited
  assert.equal(cleaned.code, 0, cleaned.stderr)
  assert.equal(existsSync(kubeadm.node.bpffs), false)
})

function put(...objects: readonly KubeObject[]): void {
  for (const object of objects) kubeadm.server.put(object)
}

function vip(n: number): string {
  return `${kubeadm.cluster.clusterIp(n)}:${vipPort}`
}

function balancer(n: number, spec: Readonly<Record<string, unknown>>): KubeObject[] {
  const clusterIps = [kubeadm.cluster.clusterIp(n)]
  const ports = [{ name: 'tcp', port: vipPort, targetPort: 8080 }]
  return [service({ name: `web${n}`, type: 'LoadBalancer', ports, clusterIps, spec })]
}

interface Got {
  readonly status: number
  readonly head: string
  readonly body: string
}

async function get(portAndPath: string): Promise<Got> {
  const { stdout } = await kubeadm.node.exec([
    ...['curl', '--silent', '--show-error', '--include', '--max-time', '5'],
    `http://127.0.0.1${portAndPath}`,
  ])
  const end = stdout.indexOf('\r\n\r\n')
  const head = stdout.slice(0, end + 2)
  return { status: Number(/^HTTP\S+ (\d+)/.exec(head)?.[1]), head, body: stdout.slice(end + 4) }
}

/* The settings of a program, if that is what the map holds. */
async function rodata(id: number): Promise<string> {
  const bpftool = async (verb: string): Promise<string> =>
    (await kubeadm.node.exec(['bpftool', 'map', verb, 'id', String(id)])).stdout
  return (await bpftool('show')).includes('.rodata') ? bpftool('dump') : ''
}
