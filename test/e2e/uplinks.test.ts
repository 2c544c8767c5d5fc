import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createCluster } from '../cluster/cluster.ts'
import type { ClusterNode, ClusterOptions, Family } from '../cluster/types.ts'

const choose = fileURLToPath(new URL('choose-devices.ts', import.meta.url))

interface Chosen {
  readonly pods: readonly string[]
  readonly uplinks: readonly {
    readonly name: string
    readonly isEthernet: boolean
    readonly isTunnel: boolean
    readonly ipv4?: string
    readonly ipv6?: string
  }[]
}

/** What is chosen of the devices that a node really has. */
async function chosenOn(node: ClusterNode): Promise<Chosen> {
  const addresses = [node.addresses.IPv4, node.addresses.IPv6]
  const { stdout } = await node.exec([process.execPath, choose, ...addresses])
  return JSON.parse(stdout) as Chosen
}

/** What the kernel sends from by a device to somewhere beyond all subnets. */
async function kernelSource(node: ClusterNode, device: string, family: Family): Promise<string> {
  const beyond = family === 'IPv4' ? '198.51.100.77' : '2001:db8:77::77'
  const via = family === 'IPv4' ? [] : ['-6']
  const route = ['route', 'add', beyond, 'dev', device]
  await node.exec(['ip', ...via, ...route])
  const { stdout } = await node.exec(['ip', 'route', 'get', beyond])
  await node.exec(['ip', ...via, 'route', 'del', beyond, 'dev', device])
  return / src (\S+)/.exec(stdout)?.[1] ?? ''
}

const variants: readonly (ClusterOptions & { readonly devices: readonly string[] })[] = [
  { profile: 'bridge', devices: ['eth0'] },
  { profile: 'ptp', uplinks: 2, devices: ['eth0', 'eth1'] },
  { profile: 'vxlan', devices: ['eth0', 'flannel.1', 'flannel-v6.1'] },
  { profile: 'vxlan', uplinks: 2, devices: ['eth0', 'eth1', 'flannel.1', 'flannel-v6.1'] },
]

for (const { devices, ...options } of variants)
  test(`uplinks of a live node are found, pods are not: ${JSON.stringify(options)}`, async () => {
    await using cluster = await createCluster({ ...options, podsPerNode: 2 })
    const node = cluster.nodes[0]!
    const { pods, uplinks } = await chosenOn(node)
    assert.deepEqual(uplinks.map(({ name }) => name).sort(), [...devices].sort())
    assert.deepEqual([...pods].sort(), node.pods.map(({ hostDevice }) => hostDevice).sort())
    for (const { name, isTunnel, ipv4, ipv6 } of uplinks) {
      assert.equal(isTunnel, name.startsWith('flannel'))
      if (name !== 'flannel-v6.1') assert.equal(ipv4, await kernelSource(node, name, 'IPv4'), name)
      if (name !== 'flannel.1') assert.equal(ipv6, await kernelSource(node, name, 'IPv6'), name)
    }
  })

test('a node whose address is on lo sends from there by its uplink', async () => {
  await using cluster = await createCluster({ profile: 'ptp', nodes: 1, nodeAddress: 'loopback' })
  const node = cluster.nodes[0]!
  const { uplinks } = await chosenOn(node)
  const { IPv4: ipv4, IPv6: ipv6 } = node.addresses
  assert.partialDeepStrictEqual(uplinks, [{ name: 'eth0', ipv4, ipv6 }])
})
