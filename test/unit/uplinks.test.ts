import assert from 'node:assert/strict'
import { test } from 'node:test'
import { emptyTable, mayMoveRoutes } from '../../src/devices/link-table.ts'
import type { GrowingTable } from '../../src/devices/link-table.ts'
import { choosePodDevices } from '../../src/devices/pod-devices.ts'
import type { Choice } from '../../src/devices/pod-devices.ts'
import type { DefaultRoute, Link, LinkAddress } from '../../src/devices/rtnetlink.ts'
import { snatAddresses } from '../../src/devices/snat-addresses.ts'
import { chooseUplinks, tunnelPortsOf } from '../../src/devices/uplinks.ts'

type LinkInput = Partial<Link> & { readonly on?: readonly string[] }

/** A table of these devices, numbered from 1, with these addresses "address/bits". */
function tableOf(links: Readonly<Record<string, LinkInput>>): GrowingTable {
  const table = emptyTable()
  const names = Object.keys(links)
  names.forEach((name, at) => {
    const { on = [], ...input } = links[name]!
    const index = at + 1
    const link: Link = {
      ...{ index, name, up: true, running: true, loopback: false, type: 1, kind: undefined },
      ...{ master: 0, peer: 0, peerElsewhere: false, mac: '', mtu: 1500, ...input },
    }
    table.links.set(index, link)
    for (const text of on) addAddress(table, index, text)
  })
  return table
}

function addAddress(
  table: GrowingTable,
  index: number,
  text: string,
  more: Partial<LinkAddress> = {},
): void {
  const [address = '', bits = ''] = text.split('/')
  const family = address.includes(':') ? 'IPv6' : 'IPv4'
  const scope = address.startsWith('fe80:') ? 'link' : 'global'
  const base = { index, family, address, prefixLength: Number(bits), scope } as const
  table.addresses.set(`${index} ${text}`, { ...base, secondary: false, ...more })
}

function addRoute(table: GrowingTable, index: number, more: Partial<DefaultRoute> = {}): void {
  table.defaultRoutes.push({
    ...{ family: 'IPv4', table: 254, priority: 0, indexes: [index] },
    ...more,
  })
}

const noChoice: Choice = { globs: [], nodeAddresses: [] }

function names(table: GrowingTable, choice: Partial<Choice> = {}): string[] {
  return chooseUplinks(table, { ...noChoice, ...choice }).map(({ name }) => name)
}

function podNames(table: GrowingTable, choice: Partial<Choice> = {}): string[] {
  return choosePodDevices(table, { ...noChoice, ...choice }).map(({ name }) => name)
}

const lo: LinkInput = { type: 772, loopback: true, on: ['127.0.0.1/8', '192.0.2.99/32'] }
const pod: LinkInput = { kind: 'veth', peerElsewhere: true, on: ['fe80::1/64'] }

test('a Flannel node: the card and the overlay, not the bridge nor its ports', () => {
  const table = tableOf({
    lo,
    eth0: { on: ['192.0.2.1/24', 'fe80::1/64'] },
    'flannel.1': { kind: 'vxlan', on: ['10.244.1.0/32'] },
    cni0: { kind: 'bridge', on: ['10.244.1.1/24'] },
    veth1: { ...pod, master: 4 },
    docker0: { kind: 'bridge', on: ['172.17.0.1/16'] },
  })
  assert.deepEqual(names(table), ['eth0', 'flannel.1'])
  assert.deepEqual(podNames(table), ['veth1'])
})

test('a Calico node: tunnels of layer 3 have no Ethernet header, those that are down are none', () => {
  const table = tableOf({
    lo,
    ens5: { on: ['192.0.2.1/24'] },
    cali1: pod,
    tunl0: { kind: 'ipip', type: 768, on: ['10.244.1.0/32'] },
    'wireguard.cali': { kind: 'wireguard', type: 65534 },
    sit0: { kind: 'sit', type: 776, up: false },
    tun0: { kind: 'tun', type: 65534 },
    tun1: { kind: 'tun', type: 65534, up: false },
    tap0: { kind: 'tun' },
    nodelocaldns: { kind: 'dummy', on: ['169.254.20.10/32'] },
    'kube-ipvs0': { kind: 'dummy', on: ['10.96.0.1/32'] },
  })
  const chosen = chooseUplinks(table, noChoice)
  assert.deepEqual(
    chosen.map(({ name, isEthernet, isTunnel }) => [name, isEthernet, isTunnel]),
    [
      ['ens5', true, false],
      ['tunl0', false, true],
      ['wireguard.cali', false, true],
      ['tun0', false, true],
    ],
  )
  assert.deepEqual(chosen[0], {
    index: 2,
    name: 'ens5',
    isEthernet: true,
    kind: undefined,
    isTunnel: false,
  })
})

test('a bond is an uplink and its cards are not; so are VLANs on it; VRFs only route', () => {
  const table = tableOf({
    eth0: { master: 3 },
    eth1: { master: 3 },
    bond0: { kind: 'bond' },
    'bond0.7': { kind: 'vlan', on: ['192.0.2.1/24'] },
    'bond0.8': { kind: 'vlan', up: false },
    red: { kind: 'vrf', type: 1 },
    eth2: { master: 6, on: ['198.51.100.1/24'] },
    dark: { up: false },
  })
  assert.deepEqual(names(table), ['bond0', 'bond0.7', 'eth2'])
})

test('a bridge that has the card as a port is the uplink, pods on it stay pods', () => {
  const table = tableOf({
    eth0: { master: 2 },
    br0: { kind: 'bridge', on: ['192.0.2.1/24'] },
    veth1: { ...pod, master: 2 },
    vlans: { kind: 'bridge' },
    'eth0.5': { kind: 'vlan', master: 4 },
    overlay: { kind: 'bridge', on: ['10.1.1.1/24'] },
    vxlan1: { kind: 'vxlan', master: 6 },
  })
  assert.deepEqual(names(table), ['br0', 'vlans'])
  assert.deepEqual(podNames(table), ['veth1'])
})

test('in a node that is a container, veths with a route, a subnet or the node address lead out', () => {
  const veth: LinkInput = { kind: 'veth', peerElsewhere: true }
  const table = tableOf({
    eth0: { ...veth, on: ['172.18.0.2/16'] },
    eth1: { ...veth, on: ['172.19.0.2/16'] },
    eth2: { ...veth, on: ['2001:db8::5/64'] },
    eth3: { ...veth, on: ['192.0.2.5/32'] },
    eth4: veth,
    cali1: pod,
    ptp1: { ...veth, on: ['10.244.1.1/32'] },
    cilium_host: { kind: 'veth', on: ['10.244.1.7/32'] },
  })
  addRoute(table, 5, { family: 'IPv6' })
  const choice = { nodeAddresses: ['192.0.2.5'] }
  assert.deepEqual(names(table, choice), ['eth0', 'eth1', 'eth2', 'eth3', 'eth4'])
  assert.deepEqual(podNames(table, choice), ['cali1', 'ptp1'])
})

test('named uplinks replace detection and are no pods; named pods are never uplinks', () => {
  const veth: LinkInput = { kind: 'veth', peerElsewhere: true }
  const table = tableOf({ lo, eth0: { on: ['192.0.2.1/24'] }, up1: veth, up2: veth, cali1: pod })
  const choice = { uplinkGlobs: ['up?', 'lo'] }
  assert.deepEqual(names(table, choice), ['up1', 'up2'])
  assert.deepEqual(podNames(table, choice), ['cali1'])
  const both = { uplinkGlobs: ['up*'], globs: ['up2', 'eth*'] }
  assert.deepEqual(names(table, both), ['up1'])
  assert.deepEqual(podNames(table, both), ['eth0', 'up2'])
  assert.deepEqual(names(table, { globs: ['eth*'] }), [])
})

test('macvlans of the node with an address are uplinks, idle ones and cards of other nets not', () => {
  const table = tableOf({
    eth0: {},
    shim0: { kind: 'macvlan', on: ['192.0.2.8/24'] },
    idle0: { kind: 'macvlan', on: ['fe80::8/64'] },
    can0: { type: 280 },
    wwan0: { type: 519, on: ['100.64.0.1/32'] },
  })
  assert.deepEqual(names(table), ['eth0', 'shim0', 'wwan0'])
})

function sources(table: GrowingTable, nodeAddresses: readonly string[] = []) {
  const chosen = snatAddresses(table, [{ index: 1 }], nodeAddresses)
  return chosen.get(1)
}

test('SNAT is from the first primary address of the device', () => {
  const table = tableOf({ eth0: {} })
  addAddress(table, 1, '169.254.1.1/16', { scope: 'link' })
  addAddress(table, 1, '192.0.2.9/24', { avoided: true })
  addAddress(table, 1, '192.0.2.8/24', { secondary: true })
  addAddress(table, 1, '192.0.2.1/24')
  addAddress(table, 1, '198.51.100.1/24')
  addAddress(table, 1, 'fe80::1/64')
  addAddress(table, 1, '2001:db8::3/64', { secondary: true })
  addAddress(table, 1, '2001:db8::2/64', { avoided: true })
  addAddress(table, 1, 'fd00::1/64')
  addAddress(table, 1, '2001:db8::8/64')
  addAddress(table, 1, '2001:db8::7/64')
  assert.deepEqual(sources(table), { ipv4: '192.0.2.1', ipv6: '2001:db8::7' })
  assert.deepEqual(sources(table, ['fd00::1', '192.0.2.8']), {
    ipv4: '192.0.2.1',
    ipv6: 'fd00::1',
  })
})

test('SNAT is from the subnet of the gateway, and from what the default route says before all', () => {
  const table = tableOf({
    eth0: { on: ['192.0.2.1/24', '198.51.100.1/24', '2001:db8::1/64'] },
    lo: { loopback: true, on: ['203.0.113.1/32', '2001:db8:9::9/128'] },
    eth1: { on: ['192.168.1.1/24'] },
  })
  addRoute(table, 1, { gateway: '198.51.100.254', priority: 10 })
  addRoute(table, 1, { gateway: '192.0.2.254', priority: 20 })
  addRoute(table, 3, { gateway: '192.168.1.254', source: '192.168.1.1' })
  assert.deepEqual(sources(table), { ipv4: '198.51.100.1', ipv6: '2001:db8::1' })
  addRoute(table, 1, { source: '203.0.113.1' })
  addRoute(table, 1, { family: 'IPv6', source: '2001:db8:9::9' })
  assert.deepEqual(sources(table), { ipv4: '203.0.113.1', ipv6: '2001:db8:9::9' })
  table.addresses.delete('2 203.0.113.1/32')
  assert.equal(sources(table)?.ipv4, '192.0.2.1', 'a source that is gone is not used')
})

test('a device without an address of a family sends from the node address of that family', () => {
  const table = tableOf({ eth0: { on: ['fe80::1/64'] }, eth1: { on: ['192.0.2.1/24'] } })
  assert.deepEqual(sources(table), {})
  const node = ['fe80::1', '2001:db8::9', '192.0.2.1', '192.0.2.7']
  assert.deepEqual(sources(table, node), { ipv4: '192.0.2.1', ipv6: '2001:db8::9' })
  assert.equal(snatAddresses(table, [{ index: 1 }, { index: 2 }], node).size, 2)
})

test('a default route may go with the address it sends from, whose device that is', () => {
  const table = tableOf({ eth0: {}, lo: { loopback: true, on: ['203.0.113.1/32'] } })
  const address = table.addresses.get('2 203.0.113.1/32')!
  addRoute(table, 1)
  assert.equal(mayMoveRoutes(table, { kind: 'address', removed: true, address }), false)
  addRoute(table, 1, { source: '203.0.113.1' })
  assert.equal(mayMoveRoutes(table, { kind: 'address', removed: true, address }), true)
  assert.equal(mayMoveRoutes(table, { kind: 'address', removed: false, address }), false)
})

test('tunnels of the node give the ports that their outside has', () => {
  assert.deepEqual(tunnelPortsOf([{ kind: undefined }, { kind: 'bond' }]), [])
  assert.deepEqual(tunnelPortsOf([{ kind: 'vxlan' }, { kind: 'vxlan' }]), [4789, 8472])
  assert.deepEqual(tunnelPortsOf([{ kind: 'geneve' }, { kind: 'vxlan' }]), [4789, 6081, 8472])
})
