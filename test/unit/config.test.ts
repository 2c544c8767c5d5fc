import assert from 'node:assert/strict'
import { hostname } from 'node:os'
import { describe, test } from 'node:test'
import { flowEntriesFor, halfOpenEntriesFor } from '../../src/cli/memory.ts'
import { runOptions } from '../../src/cli/run.ts'
import { bindText, configOf, configzOf, type Config } from '../../src/config.ts'
import { ShuntError } from '../../src/errors.ts'

const defaults = Object.fromEntries(
  Object.entries(runOptions).map(([name, option]) => [name, option.default]),
)
const pod = { KUBERNETES_SERVICE_HOST: '10.96.0.1' }

function config(flags: Readonly<Record<string, string | string[]>>, environment = pod): Config {
  return configOf({ ...defaults, ...flags }, environment)
}

describe('configOf', () => {
  test('without flags inside a pod it is what the documentation says', () => {
    const { flowTableEntries, halfOpenEntries, proxy, proxyValues, ...rest } = config({})
    assert.ok(flowTableEntries >= 262_144 && flowTableEntries <= 1_048_576)
    assert.equal(halfOpenEntries, 65_536)
    assert.equal(proxy.file, undefined)
    assert.equal(proxyValues.mode, 'iptables')
    assert.deepEqual(rest, {
      bpffs: '/sys/fs/bpf/kube-shunt',
      ifOwned: 'fail',
      readyFile: undefined,
      cgroup: undefined,
      source: { kind: 'api', kubeconfig: undefined, master: undefined },
      nodeName: hostname().trim().toLowerCase(),
      socketLb: 'off',
      forwarding: 'stack',
      xdp: 'auto',
      devices: [],
      podDevices: [],
      frontendsMax: 65_536,
      backendsMax: 262_144,
      midflowGraceSeconds: 1800,
      externalIpCidrs: [],
      sourceRangeKinds: 'load-balancer',
      serviceCidrs: undefined,
      snatPorts: undefined,
      healthz: { host: '0.0.0.0', port: 10256 },
      metrics: { host: '127.0.0.1', port: 10249 },
      logFormat: 'json',
      verbosity: 0,
    })
  })

  test('a flag given twice counts once, the last; a list grows', () => {
    const { verbosity, devices } = config({ v: ['1', '4'], devices: ['eth0,eth1', 'wg*'] })
    assert.equal(verbosity, 4)
    assert.deepEqual(devices, ['eth0', 'eth1', 'wg*'])
  })

  test('the node name is lower case without blanks, as kube-proxy has it', () => {
    assert.equal(config({ 'hostname-override': ' Node-A ' }).nodeName, 'node-a')
  })

  const addresses: readonly (readonly [given: string, host: string | undefined, port?: number])[] =
    [
      ['', undefined],
      ['127.0.0.1:0', undefined],
      ['127.0.0.1:8080', '127.0.0.1', 8080],
      ['192.0.2.1', '192.0.2.1', 10256],
      ['[::1]:99', '::1', 99],
      ['fd00::1', 'fd00::1', 10256],
      [':10256', '::', 10256],
    ]
  for (const [given, host, port] of addresses) {
    test(`--healthz-bind-address "${given}" means ${host ?? 'nowhere'}`, () => {
      const { healthz } = config({ 'healthz-bind-address': given })
      assert.deepEqual(healthz, host === undefined ? undefined : { host, port })
    })
  }

  const durations: readonly (readonly [given: string, seconds: number])[] = [
    ['0', 0],
    ['90s', 90],
    ['1h30m', 5400],
    ['1.5s', 1.5],
    ['250ms', 0.25],
    ['24h', 86_400],
  ]
  for (const [given, seconds] of durations) {
    test(`--midflow-grace ${given} is ${seconds} seconds`, () => {
      assert.equal(config({ 'midflow-grace': given }).midflowGraceSeconds, seconds)
    })
  }
  for (const given of ['', '5', 's', '1m1', '-5s', '1d', '5s ', 'm5']) {
    test(`--midflow-grace "${given}" is refused`, () => {
      assert.throws(
        () => config({ 'midflow-grace': given }),
        (error) => error instanceof ShuntError && error.exitCode === 2,
      )
    })
  }

  test('ranges become canonical', () => {
    const given = config({ 'external-ip-cidrs': '192.0.2.77/24, FD00::1/64', 'snat-ports': '1-9' })
    assert.deepEqual(given.externalIpCidrs, ['192.0.2.0/24', 'fd00::/64'])
    assert.deepEqual(given.snatPorts, { low: 1, high: 9 })
  })

  test('outside a pod a source must be named', () => {
    assert.throws(() => config({}, { KUBERNETES_SERVICE_HOST: '' }), /no source of Services/)
    const { source } = config({ master: 'https://a:6443' }, { KUBERNETES_SERVICE_HOST: '' })
    assert.deepEqual(source, { kind: 'api', kubeconfig: undefined, master: 'https://a:6443' })
  })
})

describe('sizes from memory', () => {
  const gib = 2 ** 30
  const cases: readonly (readonly [bytes: number, flows: number])[] = [
    [gib / 8, 262_144],
    [4 * gib, 262_144],
    [8 * gib, 524_288],
    [15.9 * gib, 524_288],
    [16 * gib, 1_048_576],
    [512 * gib, 1_048_576],
  ]
  for (const [bytes, flows] of cases) {
    test(`${bytes / gib} GiB give ${flows} flow entries`, () => {
      assert.equal(flowEntriesFor(bytes), flows)
    })
  }
  test('a small flow table has a smaller table for flows without a reply', () => {
    assert.equal(halfOpenEntriesFor(1024), 1024)
    assert.equal(halfOpenEntriesFor(65_536), 65_536)
    assert.equal(halfOpenEntriesFor(1_048_576), 65_536)
  })
})

test('configz has kube-proxy keys, and addresses as flags have them', () => {
  const shown = configzOf(config({ 'metrics-bind-address': '[::1]:10249' }))
  const proxy = shown['kubeproxy.config.k8s.io'] as Record<string, unknown>
  assert.equal(proxy['metricsBindAddress'], '[::1]:10249')
  assert.equal(proxy['healthzBindAddress'], '0.0.0.0:10256')
  assert.equal(bindText({ host: '::', port: 1 }), '[::]:1')
})
