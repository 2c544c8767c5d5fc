import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ShuntError } from '../../src/errors.ts'
import { normalizeGoArgs } from '../../src/proxy-config/go-args.ts'
import { proxyFlags } from '../../src/proxy-config/flags.ts'
import type { ProxyConfig } from '../../src/proxy-config/load.ts'
import { proxySettings, type ProxySettings } from '../../src/proxy-config/settings.ts'
import { load, withFile } from './proxy-config-loading.ts'
import { kubeadmConfig } from './proxy-config-samples.ts'

function settings(config: ProxyConfig): ProxySettings {
  return proxySettings(config)
}

function fails(run: () => unknown, code: string, message: RegExp): void {
  assert.throws(run, (error) => {
    assert.ok(error instanceof ShuntError)
    assert.equal(error.code, code)
    assert.match(error.message, message)
    return true
  })
}

/* Every flag of `kube-proxy --help` of 1.36.2 but --help, and the hidden deprecated ones. */
const help = `bind-address bind-address-hard-fail boot-id-file cleanup cluster-cidr config
config-sync-period conntrack-max-per-core conntrack-min conntrack-tcp-be-liberal
conntrack-tcp-timeout-close-wait conntrack-tcp-timeout-established conntrack-udp-timeout
conntrack-udp-timeout-stream detect-local-mode feature-gates healthz-bind-address healthz-port
hostname-override init-only iptables-localhost-nodeports iptables-masquerade-bit
iptables-min-sync-period iptables-sync-period ipvs-exclude-cidrs ipvs-min-sync-period
ipvs-scheduler ipvs-strict-arp ipvs-sync-period ipvs-tcp-timeout ipvs-tcpfin-timeout
ipvs-udp-timeout kube-api-burst kube-api-content-type kube-api-qps kubeconfig log-flush-frequency
log-json-info-buffer-size log-json-split-stream log-text-info-buffer-size log-text-split-stream
logging-format machine-id-file masquerade-all master metrics-bind-address metrics-port
nodeport-addresses oom-score-adj pod-bridge-interface pod-interface-name-prefix profiling
proxy-mode show-hidden-metrics-for-version v version vmodule write-config-to`.split(/\s+/)

test('proxyFlags: has every flag of kube-proxy and no other', () => {
  assert.deepEqual(
    proxyFlags.map(({ name }) => name),
    help,
  )
})

test('loadProxyConfig: with a file only logging flags and the node name still count', () => {
  const { values, notes } = withFile(
    'mode: ipvs\nlogging: {verbosity: 1}\nhostnameOverride: file\nnodePortAddresses: [primary]\n',
    {
      'proxy-mode': 'nftables',
      'oom-score-adj': '5',
      'hostname-override': 'Flag',
      v: '4',
      'logging-format': 'json',
      'healthz-port': '0',
    },
  )
  assert.equal(values.mode, 'ipvs')
  assert.equal(values.oomScoreAdj, -999)
  assert.equal(values.healthzBindAddress, '0.0.0.0:10256')
  assert.equal(values.hostnameOverride, 'Flag')
  assert.equal(values['logging.verbosity'], 4)
  assert.equal(values['logging.format'], 'json')
  const overruled = notes.filter(({ reason }) => reason === 'it is ignored when --config is given')
  assert.deepEqual(
    overruled.map(({ flag }) => flag),
    ['--healthz-port', '--oom-score-adj', '--proxy-mode'],
  )
})

test('loadProxyConfig: a flag that was given counts even when it is zero', () => {
  const { values } = load({
    'iptables-min-sync-period': '0',
    'conntrack-tcp-timeout-established': '0s',
    'metrics-bind-address': '',
    'masquerade-all': 'false',
    'iptables-localhost-nodeports': 'false',
    'oom-score-adj': '0',
  })
  assert.equal(values['iptables.minSyncPeriod'], 0)
  assert.equal(values['conntrack.tcpEstablishedTimeout'], 0)
  assert.equal(values.metricsBindAddress, '')
  assert.equal(values['iptables.localhostNodePorts'], false)
  assert.equal(values.oomScoreAdj, 0)
})

test('loadProxyConfig: deprecated ports switch a server off or complete a bare address', () => {
  const off = load({ 'healthz-port': '0', 'metrics-port': '0' })
  assert.equal(off.values.healthzBindAddress, '')
  assert.equal(off.values.metricsBindAddress, '')
  assert.deepEqual(
    off.notes.map(({ flag }) => flag),
    ['--healthz-port', '--metrics-port'],
  )
  const moved = load({ 'healthz-bind-address': '192.0.2.1', 'healthz-port': '20256' })
  assert.equal(moved.values.healthzBindAddress, '192.0.2.1:20256')
  fails(() => load({ 'metrics-port': '99999' }), 'KSH_USAGE', /--metrics-port: .* use a port or 0/)
})

test('loadProxyConfig: iptables flags fill the nftables section in that mode', () => {
  const { values } = load({
    'proxy-mode': 'nftables',
    'masquerade-all': 'true',
    'iptables-sync-period': '10s',
    'iptables-min-sync-period': '2s',
  })
  assert.equal(values['nftables.masqueradeAll'], true)
  assert.equal(values['nftables.syncPeriod'], 10e9)
  const { leastSyncMilliseconds, lateMilliseconds, masqueradeAll } = settings(
    load({
      'proxy-mode': 'nftables',
      'masquerade-all': 'true',
      'iptables-sync-period': '10s',
      'iptables-min-sync-period': '2s',
    }),
  )
  assert.deepEqual([leastSyncMilliseconds, lateMilliseconds, masqueradeAll], [2000, 20_000, true])
})

test('loadProxyConfig: a bad flag is named with its value and what is allowed', () => {
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ['oom-score-adj', 'x', /--oom-score-adj: "x" is not allowed: use a whole number/],
    ['v', 'x', /^-v: "x" is not allowed/],
    ['masquerade-all', 'yes', /--masquerade-all: "yes" is not allowed: use true or false/],
    ['conntrack-udp-timeout', '5', /--conntrack-udp-timeout: "5" .*: use a duration/],
    ['feature-gates', 'A=maybe', /--feature-gates: "A=maybe" .*NAME=true/],
    [
      'proxy-mode',
      'x',
      /--proxy-mode: KubeProxyConfiguration\.Mode\.ProxyMode: Invalid value: "x"/,
    ],
    [
      'nodeport-addresses',
      'x',
      /--nodeport-addresses: .*NodePortAddresses\[0\]: Invalid value: "x"/,
    ],
  ]
  for (const [name, value, message] of cases) {
    fails(() => load({ [name]: value }), 'KSH_USAGE', message)
  }
})

test('loadProxyConfig: a file that cannot be used names itself and what is wrong', () => {
  fails(() => load({ config: '/nonexistent/x' }), 'KSH_CONFIG', /--config: cannot read \/nonexis/)
  fails(() => withFile('mode: 1\n'), 'KSH_CONFIG', /config-\d+\.conf: failed to decode: mode: /)
  fails(() => withFile('mode: x\n'), 'KSH_CONFIG', /failed validate: KubeProxyConfiguration\.Mode/)
})

test('proxySettings: without any configuration the agent keeps its own defaults', () => {
  const own = settings(load({}))
  assert.equal(own.logFormat, undefined)
  assert.equal(own.oomScoreAdj, undefined)
  assert.deepEqual(own.nodePortAddresses, { kind: 'primary' })
  assert.deepEqual(new Set(Object.values(own.lifetimes)), new Set([undefined]))
  assert.equal(own.leastSyncMilliseconds, 0)
  assert.equal(own.lateMilliseconds, 60_000)
})

test("proxySettings: a file speaks with kube-proxy's defaults, but not for its period", () => {
  const said = settings(withFile(kubeadmConfig))
  assert.equal(said.logFormat, 'pretty')
  assert.equal(said.oomScoreAdj, -999)
  assert.deepEqual(said.nodePortAddresses, { kind: 'all' })
  assert.deepEqual(said.lifetimes, {
    tcpEstablished: 86_400,
    tcpHalfClosed: 3600,
    udpUnreplied: undefined,
    udpReplied: undefined,
  })
  assert.equal(said.leastSyncMilliseconds, 0)
  assert.deepEqual(said.detectLocal.clusterRanges, ['10.244.0.0/16'])
  assert.equal(settings(withFile('iptables: {minSyncPeriod: 1s}\n')).leastSyncMilliseconds, 0)
  assert.equal(settings(withFile('iptables: {minSyncPeriod: 5s}\n')).leastSyncMilliseconds, 5000)
})

test('proxySettings: NodePort addresses follow the list, then the mode', () => {
  const of = (body: string): unknown => settings(withFile(body)).nodePortAddresses
  assert.deepEqual(of('mode: nftables\n'), { kind: 'primary' })
  assert.deepEqual(of('mode: ipvs\n'), { kind: 'all' })
  assert.deepEqual(of('nodePortAddresses: [primary]\n'), { kind: 'primary' })
  assert.deepEqual(of('nodePortAddresses: [192.0.2.1/24, "FD00::/8"]\n'), {
    kind: 'ranges',
    ranges: ['192.0.2.0/24', 'fd00::/8'],
  })
  assert.deepEqual(settings(load({ 'proxy-mode': 'iptables' })).nodePortAddresses, { kind: 'all' })
})

test('proxySettings: a bind address that is no wildcard overrides the node address', () => {
  assert.equal(settings(load({})).nodeAddress, undefined)
  assert.equal(settings(load({ 'bind-address': '::' })).nodeAddress, undefined)
  const given = load({ 'bind-address': 'FD00::7' })
  assert.equal(settings(given).nodeAddress, 'fd00::7')
  assert.deepEqual(given.notes, [])
})

test('proxySettings: the gate AllowServiceExternalIPs is honoured, unknown gates are kept', () => {
  const given = load({ 'feature-gates': 'AllowServiceExternalIPs=true,Other=false' })
  assert.equal(settings(given).allowsExternalIPs, true)
  assert.equal(given.values.featureGates.get('Other'), false)
  assert.equal(settings(load({})).allowsExternalIPs, false)
})

test('normalizeGoArgs: takes what Go takes', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['--masquerade-all', '--masquerade-all=true'],
    ['--masquerade-all=false', '--masquerade-all=false'],
    ['--cleanup --config x', '--cleanup=true --config=x'],
    ['--hostname_override=a_b', '--hostname-override=a_b'],
    ['--version=raw', '--version'],
    ['--version=v1.36.2', '--reported-version=v1.36.2'],
    ['--devices eth0 stray', '--devices eth0 stray'],
    ['-v=2 -- --masquerade-all', '-v=2 -- --masquerade-all'],
  ]
  for (const [args, expected] of cases) {
    assert.deepEqual(normalizeGoArgs(args.split(' ')), expected.split(' '))
  }
})

test('normalizeGoArgs: a value may be empty but not missing', () => {
  assert.deepEqual(normalizeGoArgs(['--hostname-override', '']), ['--hostname-override='])
  for (const args of [['--config'], ['--config', '--cleanup']]) {
    fails(() => normalizeGoArgs(args), 'KSH_USAGE', /^--config: a value is needed/)
  }
})
