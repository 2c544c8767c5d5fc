import { indexOf, ip, run } from './own-namespace.ts'
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { LinkChange, LinkTable } from '../../src/devices/link-table.ts'
import type { Link } from '../../src/devices/rtnetlink.ts'
import { readLinks, watchLinks } from '../../src/devices/watch-links.ts'

const patience = { timeout: 30_000 }

/** A watch that ends with the test, and a way to await what its table will say. */
async function watch(t: TestContext, receiveBytes = 1 << 20) {
  const changes: LinkChange[] = []
  const waiters = new Set<() => void>()
  let overruns = 0
  const links = watchLinks({
    receiveBytes,
    onChange: (change) => {
      changes.push(change)
      for (const check of waiters) check()
    },
    onOverrun: () => {
      overruns++
    },
    onError: (error) => assert.fail(error),
  })
  t.after(() => links.close())
  await links.ready
  const until = (holds: (table: LinkTable) => boolean) =>
    new Promise<void>((resolve) => {
      const check = () => {
        if (!holds(links.table)) return
        waiters.delete(check)
        resolve()
      }
      waiters.add(check)
      check()
    })
  return { links, changes, until, overruns: () => overruns }
}

const named = (table: LinkTable, name: string): Link | undefined =>
  [...table.links.values()].find((link) => link.name === name)

/** What `ip` sees now, as "index name". */
function shownLinks(): string[] {
  const shown = JSON.parse(ip('-json link show')) as { ifindex: number; ifname: string }[]
  return shown.map(({ ifindex, ifname }) => `${ifindex} ${ifname}`).sort()
}

const tableLinks = (table: LinkTable) =>
  [...table.links.values()].map(({ index, name }) => `${index} ${name}`).sort()

/** A process in a network namespace of its own, to move devices to. */
async function elsewhere(t: TestContext): Promise<number> {
  const args = ['--net', 'sh', '-c', 'echo ready; exec sleep 60']
  const child = spawn('unshare', args, { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(async () => {
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
  await once(child.stdout, 'data')
  return child.pid!
}

test('readLinks gives what ip shows', patience, async (t) => {
  t.after(() => ip('link del ksn-a'))
  ip('link set lo up')
  ip('link add ksn-a type veth peer name ksn-b')
  ip('addr add 192.0.2.1/24 dev ksn-a')
  ip('link set ksn-a up')
  ip('link set ksn-b up')
  ip('route add default via 192.0.2.254')
  const table = await readLinks()
  assert.deepEqual(tableLinks(table), shownLinks())
  const link = named(table, 'ksn-a')
  assert.partialDeepStrictEqual(link, {
    kind: 'veth',
    up: true,
    type: 1,
    peer: indexOf('ksn-b'),
    peerElsewhere: false,
    mtu: 1500,
  })
  assert.equal(named(table, 'lo')?.loopback, true)
  const addresses = [...table.addresses.values()].map(({ address }) => address)
  assert.ok(addresses.includes('192.0.2.1') && addresses.includes('127.0.0.1'))
  const route = { family: 'IPv4', table: 254, priority: 0, indexes: [link!.index] }
  assert.deepEqual(table.defaultRoutes, [{ ...route, gateway: '192.0.2.254' }])
})

test(
  'a device created, renamed, enslaved and deleted is told step by step',
  patience,
  async (t) => {
    const { links, changes, until } = await watch(t)
    ip('link add ksn-br type bridge')
    ip('link add ksn-a type veth peer name ksn-b')
    await until(
      (table) => named(table, 'ksn-b') !== undefined && named(table, 'ksn-br') !== undefined,
    )
    const index = indexOf('ksn-a')
    assert.equal(links.table.links.get(index)?.kind, 'veth')

    ip('link set ksn-a name ksn-renamed')
    await until((table) => named(table, 'ksn-renamed') !== undefined)
    assert.equal(links.table.links.get(index)?.name, 'ksn-renamed')
    assert.equal(named(links.table, 'ksn-a'), undefined)

    ip('link set ksn-renamed master ksn-br')
    await until((table) => table.links.get(index)?.master === indexOf('ksn-br'))
    ip('link set ksn-renamed nomaster')
    await until((table) => table.links.get(index)?.master === 0)

    ip('link del ksn-renamed')
    ip('link del ksn-br')
    await until((table) => table.links.size === 1 && !table.links.has(index))
    assert.deepEqual(tableLinks(links.table), shownLinks())
    const about = changes.filter((change) => 'link' in change && change.link.index === index)
    assert.equal(about[0]?.kind === 'link' && about[0].before, undefined)
    assert.equal(about.at(-1)?.kind, 'link-removed')
  },
)

test('a veth whose peer moved away has its peer elsewhere', patience, async (t) => {
  const pid = await elsewhere(t)
  const { until } = await watch(t)
  ip('link add ksn-host type veth peer name ksn-pod')
  const pod = indexOf('ksn-pod')
  await until((table) => named(table, 'ksn-pod') !== undefined)
  ip(`link set ksn-pod netns ${pid}`)
  await until((table) => named(table, 'ksn-pod') === undefined)
  ip('link set ksn-host up')
  await until((table) => named(table, 'ksn-host')?.up === true)
  const host = named(await readLinks(), 'ksn-host')
  assert.partialDeepStrictEqual(host, { peer: pod, peerElsewhere: true })
  ip('link del ksn-host')
})

test('addresses come and go with their own events and with their device', patience, async (t) => {
  const { links, changes, until } = await watch(t)
  ip('link add ksn-a type veth peer name ksn-b')
  const index = indexOf('ksn-a')
  const has = (address: string) => (table: LinkTable) =>
    [...table.addresses.values()].some((one) => one.address === address && one.index === index)
  ip('addr add 192.0.2.7/24 dev ksn-a')
  ip('addr add 192.0.2.8/24 dev ksn-a')
  ip('addr add 2001:db8::7/64 dev ksn-a nodad')
  await until(has('2001:db8::7'))
  assert.ok(has('192.0.2.7')(links.table))
  const second = [...links.table.addresses.values()].find((one) => one.address === '192.0.2.8')
  assert.equal(second?.secondary, true)
  ip('addr del 192.0.2.8/24 dev ksn-a')
  await until((table) => !has('192.0.2.8')(table))
  ip('link del ksn-a')
  await until((table) => !table.links.has(index))
  assert.deepEqual(
    [...links.table.addresses.values()].filter((one) => one.index === index),
    [],
  )
  const removed = changes.filter((change) => change.kind === 'address-removed')
  assert.ok(removed.some((change) => change.address.address === '2001:db8::7'))
})

test(
  'default routes are followed, also when the kernel drops them silently',
  patience,
  async (t) => {
    const { links, until } = await watch(t)
    ip('link add ksn-a type veth peer name ksn-b')
    t.after(() => ip('link del ksn-a'))
    ip('link set ksn-a up')
    ip('link set ksn-b up')
    ip('addr add 192.0.2.7/24 dev ksn-a')
    const index = indexOf('ksn-a')
    const leads = (table: LinkTable) => table.defaultRoutes.some((r) => r.indexes.includes(index))
    ip('route add default via 192.0.2.254')
    await until(leads)
    ip('link set ksn-a down')
    await until((table) => !leads(table))
    ip('link set ksn-a up')
    ip('-6 route add default dev ksn-a metric 5')
    await until(leads)
    const [route] = links.table.defaultRoutes
    assert.deepEqual(route, { family: 'IPv6', table: 254, priority: 5, indexes: [index] })
    ip('-6 route del default dev ksn-a metric 5')
    await until((table) => !leads(table))
  },
)

test(
  'a default route goes with the address it sends from, of another device',
  patience,
  async (t) => {
    const { until } = await watch(t)
    ip('link add ksn-a type veth peer name ksn-b')
    t.after(() => ip('link del ksn-a'))
    ip('link set lo up')
    ip('link set ksn-a up')
    ip('addr add 192.0.2.7/24 dev ksn-a')
    ip('addr add 198.51.100.1/32 dev lo')
    ip('route add default via 192.0.2.254 src 198.51.100.1')
    const sources = (table: LinkTable) => table.defaultRoutes.map(({ source }) => source)
    await until((table) => sources(table).includes('198.51.100.1'))
    ip('addr del 198.51.100.1/32 dev lo')
    await until((table) => sources(table).length === 0)
  },
)

test('after an overrun the table is right again', patience, async (t) => {
  const { links, changes, until, overruns } = await watch(t, 4096)
  const batch = join(tmpdir(), `ksn-batch-${process.pid}`)
  const names = Array.from({ length: 150 }, (_, i) => i)
  const lines = names.flatMap((i) => [
    `link add ksn-${i} type veth peer name ksn-peer${i}`,
    ...(i % 3 === 0 ? [`link set ksn-${i} name ksn-new${i}`] : []),
    ...(i % 3 === 1 ? [`link del ksn-${i}`] : []),
  ])
  t.after(() => rmSync(batch, { force: true }))
  writeFileSync(batch, [...lines, ''].join('\n'))
  // run() holds up the event loop, so nothing is read meanwhile
  run('ip', '-batch', batch)
  const shown = shownLinks()
  await until((table) => tableLinks(table).join() === shown.join())
  assert.ok(overruns() > 0, 'the socket overran')
  assert.equal(links.table.links.size, 201)
  assert.ok(named(links.table, 'ksn-new0') !== undefined)
  assert.equal(named(links.table, 'ksn-0'), undefined)

  ip('link add ksn-late type veth peer name ksn-late2')
  await until((table) => named(table, 'ksn-late') !== undefined)
  assert.ok(changes.length > 0)
})

test('a closed watch tells nothing more', patience, async (t) => {
  const { links, changes } = await watch(t)
  const before = changes.length
  links.close()
  links.close()
  ip('link add ksn-unseen type veth peer name ksn-unseen2')
  assert.ok(named(await readLinks(), 'ksn-unseen') !== undefined)
  assert.equal(changes.length, before)
  ip('link del ksn-unseen')
})
