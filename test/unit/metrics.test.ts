import assert from 'node:assert/strict'
import { afterEach, describe, test } from 'node:test'
import { counterNames } from '../../src/datapath/abi.ts'
import type { Listener } from '../../src/health/listen.ts'
import { placeOf, type DatapathReaders, type FrontendCount } from '../../src/metrics/datapath.ts'
import { Metrics } from '../../src/metrics/metrics.ts'
import { serveMetrics } from '../../src/metrics/server.ts'
import { programmingBuckets } from '../../src/metrics/sync.ts'

function readers(more: Partial<DatapathReaders> = {}): DatapathReaders {
  return {
    readCounters: () => counterNames.map((_, at) => BigInt(at)),
    readMaps: () => [
      { map: 'frontends', entries: 3, max: 64 },
      { map: 'fragments', entries: undefined, max: 8192 },
    ],
    readFrontends: () => [],
    ...more,
  }
}

/** Samples by name with labels, types by name. */
interface Parsed {
  readonly samples: Map<string, number>
  readonly types: Map<string, string>
  readonly helps: Set<string>
}

/* Strict about the text format: what Prometheus would refuse, this refuses. */
function parse(text: string): Parsed {
  const parsed: Parsed = { samples: new Map(), types: new Map(), helps: new Set() }
  for (const line of text.split('\n')) {
    if (line === '') continue
    const meta = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line)
    if (meta?.[1] === 'HELP') parsed.helps.add(meta[2]!)
    else if (meta !== null) {
      assert.ok(!parsed.types.has(meta[2]!), `${meta[2]} is declared twice`)
      parsed.types.set(meta[2]!, meta[3]!)
    } else {
      const sample = /^([a-z_:][a-z0-9_:]*(?:\{(?:[a-z_]+="(?:[^"\\]|\\.)*",?)*\})?) (\S+)$/i.exec(
        line,
      )
      assert.ok(sample, `not a sample: ${line}`)
      assert.ok(!parsed.samples.has(sample[1]!), `twice: ${sample[1]}`)
      parsed.samples.set(sample[1]!, Number(sample[2]))
    }
  }
  return parsed
}

async function scrape(metrics: Metrics): Promise<Parsed> {
  return parse((await metrics.scrape()).body)
}

function busyMetrics(): Metrics {
  const metrics = new Metrics(readers(), '1.2.3')
  metrics.observeSync({
    isFull: true,
    families: [4, 6],
    seconds: 0.004,
    finishedAt: 1_700_000_000_500,
    stages: { plan: 0.001, apply: 0.002 },
    ops: 7,
  })
  metrics.syncQueued(4, 1_700_000_000_000)
  metrics.serviceChanges(2, 1)
  metrics.endpointChanges(5, 0)
  metrics.observeProgramming(4, 0.3)
  metrics.noLocalEndpoints(4, 'external', 2)
  metrics.healthAnswered('healthz', 200)
  metrics.healthAnswered('livez', 503)
  metrics.observeCollector({ seconds: 0.01, flows: 12, halfOpen: 3 })
  metrics.attachedDevices('pod', 4)
  return metrics
}

/** kube-proxy 1.36's families that mean something here, with their types. */
const kubeProxy = {
  kubeproxy_network_programming_duration_seconds: 'histogram',
  kubeproxy_proxy_healthz_total: 'counter',
  kubeproxy_proxy_livez_total: 'counter',
  kubeproxy_sync_full_proxy_rules_duration_seconds: 'histogram',
  kubeproxy_sync_partial_proxy_rules_duration_seconds: 'histogram',
  kubeproxy_sync_proxy_rules_duration_seconds: 'histogram',
  kubeproxy_sync_proxy_rules_endpoint_changes_pending: 'gauge',
  kubeproxy_sync_proxy_rules_endpoint_changes_total: 'counter',
  kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds: 'gauge',
  kubeproxy_sync_proxy_rules_last_timestamp_seconds: 'gauge',
  kubeproxy_sync_proxy_rules_no_local_endpoints_total: 'gauge',
  kubeproxy_sync_proxy_rules_service_changes_pending: 'gauge',
  kubeproxy_sync_proxy_rules_service_changes_total: 'counter',
}

describe('Metrics', () => {
  test('has kube-proxy families with their types, and no others under that name', async () => {
    const { types } = await scrape(busyMetrics())
    const found = [...types].filter(([name]) => name.startsWith('kubeproxy_')).sort()
    assert.deepEqual(Object.fromEntries(found), kubeProxy)
  })

  test('keeps the conventions: help everywhere, _total on counters alone, base units', async () => {
    const { types, helps } = await scrape(busyMetrics())
    for (const [name, type] of types) {
      assert.ok(helps.has(name), `${name} has no help`)
      if (!name.startsWith('kubeshunt_')) continue
      assert.equal(name.endsWith('_total'), type === 'counter', `${name} is a ${type}`)
      assert.doesNotMatch(name, /_(milliseconds|ms|minutes|kilobytes|count|sum|bucket)$/)
    }
  })

  test('labels a pass by family and keeps the buckets of kube-proxy', async () => {
    const { samples } = await scrape(busyMetrics())
    const pass = 'kubeproxy_sync_proxy_rules_duration_seconds'
    assert.equal(samples.get(`${pass}_count{ip_family="IPv4"}`), 1)
    assert.equal(samples.get(`${pass}_count{ip_family="IPv6"}`), 1)
    assert.equal(samples.get(`${pass}_bucket{le="0.002",ip_family="IPv4"}`), 0)
    assert.equal(samples.get(`${pass}_bucket{le="0.004",ip_family="IPv4"}`), 1)
    assert.equal(samples.get(`${pass}_bucket{le="16.384",ip_family="IPv4"}`), 1)
    const last = 'kubeproxy_sync_proxy_rules_last_timestamp_seconds'
    assert.equal(samples.get(`${last}{ip_family="IPv4"}`), 1_700_000_000.5)
    assert.equal(programmingBuckets.length, 3 + 59 + 12 + 7)
    assert.deepEqual(programmingBuckets.slice(0, 4), [0, 0.25, 0.5, 1])
    assert.deepEqual(programmingBuckets.slice(-8), [115, 120, 150, 180, 210, 240, 270, 300])
  })

  test('shows what it was told', async () => {
    const { samples } = await scrape(busyMetrics())
    const expected: Readonly<Record<string, number>> = {
      'kubeproxy_proxy_healthz_total{code="200"}': 1,
      'kubeproxy_proxy_livez_total{code="503"}': 1,
      kubeproxy_sync_proxy_rules_service_changes_total: 2,
      kubeproxy_sync_proxy_rules_service_changes_pending: 1,
      kubeproxy_sync_proxy_rules_endpoint_changes_total: 5,
      'kubeproxy_sync_proxy_rules_no_local_endpoints_total{ip_family="IPv4",traffic_policy="external"}': 2,
      'kubeshunt_flows{state="established"}': 12,
      'kubeshunt_flows{state="half_open"}': 3,
      'kubeshunt_attached_devices{kind="pod"}': 4,
      'kubeshunt_map_entries{map="frontends"}': 3,
      'kubeshunt_map_max_entries{map="fragments"}': 8192,
      'kubeshunt_sync_stage_duration_seconds_count{stage="apply"}': 1,
      kubeshunt_map_writes_total: 7,
      [`kubeshunt_build_info{version="1.2.3",node_version="${process.version}"}`]: 1,
    }
    for (const [name, value] of Object.entries(expected))
      assert.equal(samples.get(name), value, name)
    assert.ok(!samples.has('kubeshunt_map_entries{map="fragments"}'))
  })

  test('every counter of the programs is in exactly one metric', async () => {
    const { samples } = await scrape(new Metrics(readers(), ''))
    const labels = { packets: 'verdict', drops: 'reason', rejects: 'reason', flow_events: 'event' }
    for (const [at, name] of counterNames.entries()) {
      const { metric, value } = placeOf(name)
      const label = labels[metric as keyof typeof labels]
      assert.equal(samples.get(`kubeshunt_datapath_${metric}_total{${label}="${value}"}`), at, name)
    }
    const shown = [...samples.keys()].filter((name) => name.startsWith('kubeshunt_datapath_'))
    assert.equal(shown.length, counterNames.length)
  })

  test('refused objects that are no longer refused disappear', async () => {
    const metrics = busyMetrics()
    metrics.refusedObjects([{ kind: 'Service', reason: 'taken', count: 2 }])
    metrics.refusedObjects([{ kind: 'Service', reason: 'frontends-full', count: 1 }])
    const { samples } = await scrape(metrics)
    const refused = [...samples].filter(([name]) => name.startsWith('kubeshunt_refused_objects'))
    assert.deepEqual(refused, [
      ['kubeshunt_refused_objects{kind="Service",reason="frontends-full"}', 1],
    ])
  })

  test('watch restarts count up from what the reflector tells', async () => {
    const metrics = busyMetrics()
    const watch = { resource: 'services', synced: true, objects: 9, lastEvent: 1_700_000_000_000 }
    for (const restarts of [1, 1, 4]) metrics.observeWatch({ ...watch, restarts })
    const { samples } = await scrape(metrics)
    assert.equal(samples.get('kubeshunt_watch_restarts_total{resource="services"}'), 4)
    assert.equal(samples.get('kubeshunt_watch_synced{resource="services"}'), 1)
    const last = 'kubeshunt_watch_last_event_timestamp_seconds{resource="services"}'
    assert.equal(samples.get(last), 1_700_000_000)
  })

  test('only the busiest frontends have series', async () => {
    const frontend = (flows: number): FrontendCount => {
      return { text: `ns/s${flows}:http`, kind: 'ClusterIP', protocol: 'TCP', flows, rejects: 1 }
    }
    const readFrontends = () => [5, 9, 1, 7].map(frontend)
    const metrics = new Metrics(readers({ readFrontends, frontendSeries: 2 }), '')
    const { samples } = await scrape(metrics)
    const shown = [...samples].filter(([name]) => name.startsWith('kubeshunt_frontend_flows_total'))
    const labels = (name: string) =>
      `namespace="ns",service="${name}",port="http",protocol="TCP",kind="ClusterIP"`
    assert.deepEqual(shown, [
      [`kubeshunt_frontend_flows_total{${labels('s9')}}`, 9],
      [`kubeshunt_frontend_flows_total{${labels('s7')}}`, 7],
    ])
  })
})

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

test('requests to the API server are counted by answer and host, failures as errors', async () => {
  const metrics = new Metrics(readers(), '')
  const request = { method: 'GET', host: '192.0.2.1:6443', seconds: 0.02 }
  metrics.requested({ ...request, status: 200 })
  metrics.requested({ ...request, status: undefined })
  const { samples } = await scrape(metrics)
  const requests = (code: string): number | undefined =>
    samples.get(`rest_client_requests_total{code="${code}",host="192.0.2.1:6443",method="GET"}`)
  assert.deepEqual([requests('200'), requests('<error>')], [1, 1])
  const durations = 'rest_client_request_duration_seconds'
  const labels = 'verb="GET",host="192.0.2.1:6443"'
  const reversed = 'host="192.0.2.1:6443",verb="GET"'
  const count = samples.get(`${durations}_count{${labels}}`)
  assert.equal(count ?? samples.get(`${durations}_count{${reversed}}`), 2)
})

test('a version of Kubernetes is told only when one was given', async () => {
  const without = await scrape(new Metrics(readers(), '1.2.3'))
  assert.ok(![...without.types.keys()].some((name) => name.startsWith('kubernetes_')))
  const facts = { reportedVersion: 'v1.36.2', featureGates: new Map([['A', false]]) }
  const { samples } = await scrape(new Metrics(readers(), '1.2.3', facts))
  const info = [...samples].find(([name]) => name.startsWith('kubernetes_build_info{'))
  assert.match(info?.[0] ?? '', /major="1",minor="36",git_version="v1\.36\.2"/)
  assert.equal(samples.get('kubernetes_feature_enabled{name="A",stage=""}'), 0)
})
