import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { completeFile } from '../../src/proxy-config/complete.ts'
import { decodeProxyConfig } from '../../src/proxy-config/decode.ts'
import type { GivenValues } from '../../src/proxy-config/fields.ts'
import { messageOfAll, validate } from '../../src/proxy-config/validate.ts'
import { proxyConfigObject, writeProxyConfig } from '../../src/proxy-config/write.ts'
import { defaultConfig, kubeadmConfig } from './proxy-config-samples.ts'

const head = 'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n'

function decoded(body: string): { given: GivenValues; strictErrors: readonly string[] } {
  const result = decodeProxyConfig(head + body)
  assert.equal(result.kind, 'decoded', JSON.stringify(result))
  return result
}

function failure(source: string): string {
  const result = decodeProxyConfig(source)
  assert.equal(result.kind, 'failed', JSON.stringify(result))
  return result.reason
}

test('writeProxyConfig: writes the defaults as kube-proxy 1.36.2 does, byte by byte', () => {
  assert.equal(writeProxyConfig(completeFile({})), defaultConfig)
})

const reference = '../shared/reference/kube-proxy-1.36.2-default-config.yaml'
test(
  'writeProxyConfig: writes what a running kube-proxy wrote',
  { skip: existsSync(reference) ? false : 'the reference is not here' },
  () => assert.equal(writeProxyConfig(completeFile({})), readFileSync(reference, 'utf8')),
)

test('decodeProxyConfig: what is written is read back to the same values', () => {
  const { given } = decoded(defaultConfig.replace(/^(apiVersion|kind):.*\n/gm, ''))
  assert.equal(writeProxyConfig(completeFile(given)), defaultConfig)
})

test('decodeProxyConfig: nulls and zeros of a kubeadm file mean the defaults', () => {
  const result = decodeProxyConfig(kubeadmConfig)
  assert.ok(result.kind === 'decoded')
  assert.deepEqual(result.strictErrors, [])
  const values = completeFile(result.given)
  assert.deepEqual(validate(values), [])
  assert.equal(values['clientConnection.kubeconfig'], '/var/lib/kube-proxy/kubeconfig.conf')
  const plain = completeFile({
    'clientConnection.kubeconfig': '/var/lib/kube-proxy/kubeconfig.conf',
    clusterCIDR: '10.244.0.0/16',
  })
  assert.deepEqual(values, plain)
})

test('decodeProxyConfig: JSON is read as well', () => {
  const json = JSON.stringify(proxyConfigObject(completeFile({ clusterCIDR: '10.0.0.0/8' })))
  const result = decodeProxyConfig(json)
  assert.ok(result.kind === 'decoded')
  assert.equal(completeFile(result.given).clusterCIDR, '10.0.0.0/8')
})

test('decodeProxyConfig: unknown and duplicate fields are strict errors, and the rest counts', () => {
  const { given, strictErrors } = decoded(
    'mode: ipvs\nfoo: 1\nconntrack: {max: 5, min: 7}\nmode: nftables\nudpIdleTimeout: 250ms\n',
  )
  assert.deepEqual(strictErrors, [
    'line 6: key "mode" already set in map',
    'unknown field "foo"',
    'unknown field "conntrack.max"',
    'unknown field "udpIdleTimeout"',
  ])
  assert.deepEqual(given, { mode: 'nftables', 'conntrack.min': 7 })
})

test('decodeProxyConfig: a value of another type is fatal and names its field', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['mode: 5', /mode: expected a text, got 5/],
    ['oomScoreAdj: x', /oomScoreAdj: expected a whole number, got "x"/],
    ['oomScoreAdj: 1.5', /oomScoreAdj: expected a whole number/],
    ['conntrack: 5', /conntrack: expected an object/],
    ['conntrack: {min: 3000000000}', /conntrack\.min: expected a whole number/],
    ['conntrack: {udpTimeout: 5}', /conntrack\.udpTimeout: expected a duration such as 30s, got 5/],
    ['conntrack: {udpTimeout: soon}', /conntrack\.udpTimeout: .*got "soon"/],
    ['bindAddressHardFail: "true"', /bindAddressHardFail: expected true or false/],
    ['nodePortAddresses: primary', /nodePortAddresses: expected a list of texts/],
    ['nodePortAddresses: [1]', /nodePortAddresses: expected a list of texts/],
    ['featureGates: {A: on please}', /featureGates: expected names with true or false/],
    ['clientConnection: {qps: many}', /clientConnection\.qps: expected a number/],
  ]
  for (const [body, expected] of cases) assert.match(failure(`${head}${body}\n`), expected)
})

test('decodeProxyConfig: a file of another kind, or none, is refused', () => {
  assert.match(failure('mode: iptables\n'), /Object 'Kind' is missing/)
  assert.match(failure('kind: KubeProxyConfiguration\n'), /Object 'apiVersion' is missing/)
  assert.match(
    failure('kind: KubeProxyConfiguration\napiVersion: kubeproxy.config.k8s.io/v9\n'),
    /no kind "KubeProxyConfiguration" is registered for version "kubeproxy.config.k8s.io\/v9"/,
  )
  assert.match(failure(''), /does not hold an object/)
  assert.match(failure('- a\n'), /does not hold an object/)
  assert.match(failure('a: [\n'), /failed to decode: /)
  assert.match(failure(`${head}---\n${head}`), /failed to decode: /)
})

test('decodeProxyConfig: names such as __proto__ are unknown fields and nothing else', () => {
  const { given, strictErrors } = decoded(
    '__proto__: {mode: ipvs}\nconstructor: {prototype: {mode: ipvs}}\nconntrack: {__proto__: 1}\n',
  )
  assert.deepEqual(strictErrors, [
    'unknown field "__proto__"',
    'unknown field "constructor"',
    'unknown field "conntrack.__proto__"',
  ])
  assert.deepEqual(Object.keys(given), [])
  assert.equal(completeFile(given).mode, 'iptables')
  assert.equal(({} as { mode?: string }).mode, undefined)
})

test('completeFile: an IPv6 bindAddress moves both servers to IPv6', () => {
  const values = completeFile({ bindAddress: 'fd00::1' })
  assert.equal(values.healthzBindAddress, '[::]:10256')
  assert.equal(values.metricsBindAddress, '[::1]:10249')
})

test('completeFile: an address without a port gets the default port', () => {
  const values = completeFile({ healthzBindAddress: '192.0.2.1', metricsBindAddress: '::1' })
  assert.equal(values.healthzBindAddress, '192.0.2.1:10256')
  assert.equal(values.metricsBindAddress, '[::1]:10249')
})

test('writeProxyConfig: periods and masqueradeAll are written in the section of the mode', () => {
  const written = (mode: string): Record<string, Record<string, unknown>> => {
    const values = completeFile({ mode, 'nftables.masqueradeAll': true, 'ipvs.syncPeriod': 7e9 })
    return proxyConfigObject(values) as Record<string, Record<string, unknown>>
  }
  assert.equal(written('nftables')['nftables']!['masqueradeAll'], true)
  assert.equal(written('nftables')['nftables']!['syncPeriod'], '30s')
  assert.equal(written('nftables')['iptables']!['syncPeriod'], '0s')
  assert.equal(written('ipvs')['ipvs']!['syncPeriod'], '7s')
  assert.equal(written('ipvs')['nftables']!['masqueradeAll'], false)
  assert.equal(written('iptables')['ipvs']!['syncPeriod'], '0s')
})

/* Values by path, and the message kube-proxy has for them. */
const invalid: readonly (readonly [GivenValues, string])[] = [
  [
    { mode: 'nope' },
    'KubeProxyConfiguration.Mode.ProxyMode: Invalid value: "nope": must be iptables, ipvs, ' +
      'nftables or blank (blank means the best-available proxy [currently iptables])',
  ],
  [
    { 'iptables.masqueradeBit': 32 },
    'KubeProxyConfiguration.KubeProxyIPTablesConfiguration.MasqueradeBit: Invalid value: 32: ' +
      'must be within the range [0, 31]',
  ],
  [
    { mode: 'nftables', 'nftables.masqueradeBit': -1 },
    'KubeProxyConfiguration.KubeProxyNFTablesConfiguration.MasqueradeBit: Invalid value: -1: ' +
      'must be within the range [0, 31]',
  ],
  [
    { oomScoreAdj: -1001 },
    'KubeProxyConfiguration.KubeProxyLinuxConfiguration.OOMScoreAdj: Invalid value: -1001: ' +
      'must be within the range [-1000, 1000]',
  ],
  [
    { 'conntrack.tcpEstablishedTimeout': -1e9 },
    'KubeProxyConfiguration.KubeProxyLinuxConfiguration.KubeProxyConntrackConfiguration.' +
      'TCPEstablishedTimeout: Invalid value: -1s: must be greater than or equal to 0',
  ],
  [
    { 'conntrack.min': -5 },
    'KubeProxyConfiguration.KubeProxyLinuxConfiguration.KubeProxyConntrackConfiguration.Min: ' +
      'Invalid value: -5: must be greater than or equal to 0',
  ],
  [
    { 'iptables.syncPeriod': -1e9, 'iptables.minSyncPeriod': -2e9 },
    '[KubeProxyConfiguration.SyncPeriod: Invalid value: -1s: must be greater than 0, ' +
      'KubeProxyConfiguration.MinSyncPeriod: Invalid value: -2s: ' +
      'must be greater than or equal to 0]',
  ],
  [
    { mode: 'ipvs', 'ipvs.syncPeriod': 5e9, 'ipvs.minSyncPeriod': 6e9 },
    'KubeProxyConfiguration.SyncPeriod: Invalid value: 6s: ' +
      'must be greater than or equal to KubeProxyConfiguration.MinSyncPeriod',
  ],
  [
    { configSyncPeriod: -1e9 },
    'KubeProxyConfiguration.ConfigSyncPeriod: Invalid value: -1s: must be greater than 0',
  ],
  [
    { 'clientConnection.burst': -1 },
    'KubeProxyConfiguration.ClientConnection.Burst: Invalid value: -1: ' +
      'must be greater than or equal to 0',
  ],
  [
    { bindAddress: 'node1' },
    'KubeProxyConfiguration.BindAddress: Invalid value: "node1": ' +
      'not a valid textual representation of an IP address',
  ],
  [
    { healthzBindAddress: 'fd00::1:10256:9999999' },
    'KubeProxyConfiguration.HealthzBindAddress: Invalid value: "fd00::1:10256:9999999": ' +
      'must be IP:port',
  ],
  [
    { metricsBindAddress: 'localhost:99999' },
    '[KubeProxyConfiguration.MetricsBindAddress: Invalid value: "localhost": must be a valid IP, ' +
      'KubeProxyConfiguration.MetricsBindAddress: Invalid value: "99999": must be a valid port]',
  ],
  [
    { nodePortAddresses: ['10.0.0.0/8', '10.0.0.1'] },
    'KubeProxyConfiguration.NodePortAddresses[1]: Invalid value: "10.0.0.1": must be a valid CIDR',
  ],
  [
    { nodePortAddresses: ['10.0.0.0/8', 'primary'] },
    'KubeProxyConfiguration.NodePortAddresses[1]: Invalid value: "primary": ' +
      "can't use both 'primary' and CIDRs",
  ],
  [
    { portRange: '300-200' },
    'KubeProxyConfiguration.PortRange: Invalid value: "300-200": ' +
      'must be a valid port range (e.g. 300-2000)',
  ],
  [
    { detectLocalMode: 'Guess' },
    'KubeProxyConfiguration.DetectLocalMode: Unsupported value: "Guess": supported values: ' +
      '"ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix", ""',
  ],
  [
    { detectLocalMode: 'BridgeInterface' },
    'KubeProxyConfiguration.DetectLocalConfiguration.InterfaceName: Invalid value: "": ' +
      'must not be empty',
  ],
  [
    { clusterCIDR: '10.244.0.0' },
    'KubeProxyConfiguration.DetectLocalConfiguration.ClusterCIDRs[0]: Invalid value: ' +
      '"10.244.0.0": must be a valid CIDR block (e.g. 10.100.0.0/16 or fde4:8dba:82e1::/48)',
  ],
  [
    { mode: 'ipvs', 'ipvs.excludeCIDRs': ['x'] },
    'KubeProxyConfiguration.KubeProxyIPVSConfiguration.ExcludeCidrs[0]: Invalid value: "x": ' +
      'must be a valid CIDR',
  ],
  [{ 'logging.format': 'xml' }, 'logging.format: Invalid value: "xml": Unsupported log format'],
]

for (const [given, message] of invalid) {
  test(`validate: ${JSON.stringify(given)} is refused in kube-proxy's words`, () => {
    assert.equal(messageOfAll(validate(completeFile(given))), message)
  })
}

test('validate: a pair of ranges must be one of each family', () => {
  const messages = (clusterCIDR: string): number => validate(completeFile({ clusterCIDR })).length
  assert.equal(messages('10.0.0.0/8,fd00::/64'), 0)
  assert.equal(messages('10.0.0.0/8,10.1.0.0/16'), 1)
  assert.equal(messages('10.0.0.0/8,fd00::/64,fd01::/64'), 1)
})

test('validate: what is set for another mode is not looked at', () => {
  const given: GivenValues = { 'ipvs.excludeCIDRs': ['x'], 'nftables.masqueradeBit': 99 }
  assert.deepEqual(validate(completeFile(given)), [])
})
