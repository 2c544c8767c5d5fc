import assert from 'node:assert/strict'
import { test } from 'node:test'
import { load, withFile } from './proxy-config-loading.ts'
import { kubeadmConfig } from './proxy-config-samples.ts'

const incomplete = {
  message: 'Kube-proxy configuration may be incomplete or incorrect',
  reason:
    'nodePortAddresses is unset; NodePort connections will be accepted on all local IPs. ' +
    'Consider using `--nodeport-addresses primary`',
}

test('loadProxyConfig: an unknown field is one note and the rest counts', () => {
  const { values, notes } = withFile('foo: 1\nbar: 2\nmode: ipvs\n')
  assert.equal(values.mode, 'ipvs')
  assert.deepEqual(notes, [
    {
      message: 'Using lenient decoding as strict decoding failed',
      reason: 'strict decoding error: unknown field "foo", unknown field "bar"',
    },
    incomplete,
  ])
})

test('loadProxyConfig: each setting without effect is noted once, defaults never', () => {
  const { notes } = withFile(kubeadmConfig)
  assert.deepEqual(
    notes.map(({ field }) => field),
    [undefined],
  )
  assert.deepEqual(notes[0], incomplete)
  const primary = 'nodePortAddresses: [primary]\n'
  const ignored = withFile(
    `${primary}ipvs: {scheduler: lc, strictARP: true}\nportRange: 1-2\n`,
  ).notes
  assert.deepEqual(
    ignored.map(({ field, value }) => [field, value]),
    [
      ['ipvs.scheduler', 'lc'],
      ['ipvs.strictARP', true],
      ['portRange', '1-2'],
    ],
  )
  assert.ok(ignored.every(({ reason }) => reason?.startsWith('accepted and ignored: ')))
  assert.deepEqual(load({ 'boot-id-file': 'x', 'reported-version': 'v1.36.2' }).notes, [
    {
      ...{ message: 'flag has no effect', flag: '--boot-id-file' },
      reason: 'accepted and ignored: the file is not read',
    },
  ])
})

test('loadProxyConfig: a setting of another mode is noted, one that a flag moves is not', () => {
  const noted = ({ notes }: ReturnType<typeof load>): unknown[] =>
    notes.filter(({ field }) => field).map(({ field, reason }) => [field, reason])
  const body = 'nftables: {masqueradeAll: true}\nipvs: {syncPeriod: 9s}\n'
  assert.deepEqual(noted(withFile(body)), [
    ['nftables.masqueradeAll', 'the mode is iptables'],
    ['ipvs.syncPeriod', 'the mode is iptables'],
  ])
  const flags = { 'proxy-mode': 'nftables', 'masquerade-all': 'true', 'iptables-sync-period': '9s' }
  const snat = 'SNAT of all Service traffic (no effect yet)'
  assert.deepEqual(noted(load(flags)), [['nftables.masqueradeAll', snat]])
  const ipvs = { 'proxy-mode': 'ipvs', 'masquerade-all': 'true' }
  assert.deepEqual(noted(load(ipvs)), [['iptables.masqueradeAll', snat]])
})

test('loadProxyConfig: NodePorts on all addresses are noted as kube-proxy does', () => {
  assert.deepEqual(load({}).notes, [])
  assert.deepEqual(load({ 'proxy-mode': 'ipvs' }).notes, [incomplete])
  assert.deepEqual(load({ 'proxy-mode': 'nftables' }).notes, [])
  assert.deepEqual(load({ 'proxy-mode': 'ipvs', 'nodeport-addresses': 'primary' }).notes, [])
})
