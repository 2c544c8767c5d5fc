import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { counterNames } from '../../src/datapath/abi.ts'
import { placeOf, type FrontendCount } from '../../src/metrics/datapath.ts'
import { Metrics } from '../../src/metrics/metrics.ts'
import { programmingBuckets } from '../../src/metrics/sync.ts'
import { busyMetrics, readers, scrape } from './metrics-samples.ts'

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

  test('refused objects are asked for at each scrape, and go when they are no longer refused', async () => {
    const metrics = busyMetrics()
    let refused = [{ kind: 'Service', reason: 'taken', count: 2 }]
    metrics.refusedBy(() => refused)
    assert.deepEqual(await refusedSeries(metrics), [['kind="Service",reason="taken"', 2]])
    refused = [{ kind: 'Service', reason: 'frontends-full', count: 1 }]
    assert.deepEqual(await refusedSeries(metrics), [['kind="Service",reason="frontends-full"', 1]])
  })

  test('reasons that name an object or a number are one series, and there are never many', async () => {
    const metrics = busyMetrics()
    const refused = (reason: string) => ({ kind: 'Service', reason, count: 1 })
    const many = Array.from({ length: 3000 }, (_, at) => at)
    metrics.refusedBy(() => many.map((at) => refused(`is the cluster IP of Service shop/web${at}`)))
    const one = 'kind="Service",reason="is the cluster IP of another Service"'
    assert.deepEqual(await refusedSeries(metrics), [[one, 3000]])
    metrics.refusedBy(() => many.map((at) => refused(`${at} more pieces are refused`)))
    const more = 'kind="Service",reason="more pieces are refused"'
    assert.deepEqual(await refusedSeries(metrics), [[more, 3000]])
    metrics.refusedBy(() => many.map((at) => refused(`reason ${at} of somebody`)))
    const series = await refusedSeries(metrics)
    assert.equal(series.length, 51)
    assert.deepEqual(series.at(-1), ['kind="Service",reason="other"', 2950])
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

  test('only the busiest frontends have series, a client that is turned away counts as well', async () => {
    const frontend = (flows: number, rejects = 1): FrontendCount => {
      return { text: `ns/s${flows}:http`, kind: 'ClusterIP', protocol: 'TCP', flows, rejects }
    }
    const readFrontends = () => [frontend(5), frontend(9), frontend(0, 8), frontend(7)]
    const metrics = new Metrics(readers({ readFrontends, frontendSeries: 2 }), '')
    const { samples } = await scrape(metrics)
    const shown = [...samples].filter(([name]) => name.startsWith('kubeshunt_frontend_flows_total'))
    const labels = (name: string) =>
      `namespace="ns",service="${name}",port="http",protocol="TCP",kind="ClusterIP"`
    assert.deepEqual(shown, [
      [`kubeshunt_frontend_flows_total{${labels('s9')}}`, 9],
      [`kubeshunt_frontend_flows_total{${labels('s0')}}`, 0],
    ])
    assert.equal(samples.get(`kubeshunt_frontend_rejects_total{${labels('s0')}}`), 8)
  })

  test('a scrape reads everything once, and has as many lines with 50 000 frontends as with 1 000', async () => {
    const frontends = Array.from({ length: 50_000 }, (_, at): FrontendCount => {
      return { text: `ns/s${at}:http`, kind: 'ClusterIP', protocol: 'TCP', flows: at, rejects: 0 }
    })
    const linesWith = async (count: number): Promise<number> => {
      const reads: string[] = []
      const { readCounters, readMaps } = readers()
      const metrics = new Metrics(
        {
          readCounters: () => (reads.push('counters'), readCounters()),
          readMaps: () => (reads.push('maps'), readMaps()),
          readFrontends: () => (reads.push('frontends'), frontends.slice(0, count)),
        },
        '',
      )
      const { body } = await metrics.scrape()
      assert.deepEqual(reads.sort(), ['counters', 'frontends', 'maps'])
      return body.split('\n').filter((line) => !/^nodejs_gc/.test(line)).length
    }
    const few = await linesWith(1_000)
    assert.equal(await linesWith(50_000), few)
    assert.ok(few < 2_500, `${few} lines`)
  })
})

async function refusedSeries(metrics: Metrics): Promise<[labels: string, value: number][]> {
  const { samples } = await scrape(metrics)
  return [...samples].flatMap(([name, value]) => {
    const [, labels] = /^kubeshunt_refused_objects\{(.*)\}$/.exec(name) ?? []
    return labels === undefined ? [] : [[labels, value] as [string, number]]
  })
}

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
