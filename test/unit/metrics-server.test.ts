import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import type { Listener } from '../../src/health/listen.ts'
import { serveMetrics } from '../../src/metrics/server.ts'
import { busyMetrics, parse } from './metrics-samples.ts'

const open: Listener[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((listener) => listener.close()))
})

test('the metrics server has the paths of kube-proxy', async () => {
  const log = { debug: () => 0, info: () => 0, warn: () => 0, error: () => 0 }
  const listener = serveMetrics({
    address: { host: '127.0.0.1', port: 0 },
    metrics: busyMetrics(),
    configz: () => ({ 'kubeproxy.config.k8s.io': { mode: 'kube-shunt' } }),
    log,
  })
  open.push(listener)
  const url = `http://127.0.0.1:${(await listener.bound).port}`
  const get = async (path: string): Promise<readonly [number, string | null, string]> => {
    const answer = await fetch(`${url}${path}`)
    return [answer.status, answer.headers.get('content-type'), await answer.text()]
  }
  const plain = 'text/plain; charset=utf-8'
  assert.deepEqual(await get('/proxyMode'), [200, plain, 'kube-shunt'])
  assert.deepEqual(await get('/healthz'), [200, plain, 'ok'])
  const config = '{"kubeproxy.config.k8s.io":{"mode":"kube-shunt"}}'
  assert.deepEqual(await get('/configz'), [200, 'application/json', config])
  assert.equal((await get('/'))[0], 404)
  const [status, type, text] = await get('/metrics')
  assert.deepEqual([status, type], [200, 'text/plain; version=0.0.4; charset=utf-8'])
  assert.ok(parse(text).samples.size > 100)
})

test('the metrics server has the pages of kube-proxy', async () => {
  const log = { debug: () => 0, info: () => 0, warn: () => 0, error: () => 0 }
  const listener = serveMetrics({
    address: { host: '127.0.0.1', port: 0 },
    metrics: busyMetrics(),
    configz: () => ({}),
    flagz: () => [['cluster-cidr', '10.244.0.0/16']],
    version: '1.2.3',
    log,
  })
  open.push(listener)
  const url = `http://127.0.0.1:${(await listener.bound).port}`
  const get = async (path: string): Promise<string> => (await fetch(`${url}${path}`)).text()
  assert.match(
    await get('/flagz'),
    /^\nkube-proxy flagz\nWarning: .*\n\ncluster-cidr=10.244.0.0\/16\n/,
  )
  const status = await get('/statusz')
  assert.match(status, /^Binary version: 1\.2\.3$/m)
  assert.match(status, /^Paths: \/configz .*\/metrics\/slis .*\/statusz$/m)
  await get('/healthz')
  const { samples } = parse(await get('/metrics/slis'))
  assert.equal(samples.get('kubernetes_healthcheck{name="ping",type="healthz"}'), 1)
  const total = 'kubernetes_healthchecks_total{name="ping",status="success",type="healthz"}'
  assert.equal(samples.get(total), 1)
})
