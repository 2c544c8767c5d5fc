import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { flow, flowKey } from '../../src/datapath/abi.ts'
import { collect } from '../../src/datapath/collect.ts'
import { answer, ask, connect, converse, oneBackend, tcp, udp, v4 } from './cast.ts'
import { datapath, type DatapathOptions, type Node } from './harness.ts'
import { loadCollector } from './load.ts'
import { frame } from './packet.ts'

const folders: string[] = []
after(() => {
  for (const folder of folders) {
    for (const name of readdirSync(folder)) unlinkSync(join(folder, name))
    rmdirSync(folder)
  }
})

/** A node and the collector of its tables; the two objects share maps through pins. */
function collected(options: DatapathOptions): { node: Node; collector: number } {
  const pins = `/sys/fs/bpf/ks-collect-${process.pid}-${folders.length}`
  mkdirSync(pins, { mode: 0o700 })
  folders.push(pins)
  const node = datapath({ ...options, pins })
  return { node, collector: loadCollector({ globals: {}, entries: options.entries ?? {}, pins }) }
}

const { client, vip, backend } = v4

describe('the collector', () => {
  test('counts flows by their forward halves and removes nothing that lives', async () => {
    const { node, collector } = collected({ services: oneBackend(v4) })
    connect(node, v4)
    converse(node, { ...v4, client: '10.244.0.3:40000' })
    node.fromPod(frame({ from: '10.244.0.4:40000', to: vip, tcp: 'S' }))
    const lines = node.tables.lines()
    const { milliseconds, ...report } = await collect(collector)
    assert.deepEqual(report, { flows: 2, halfOpen: 1, expired: 0, entries: 6 })
    assert.ok(milliseconds < 1000)
    assert.deepEqual(node.tables.lines(), lines)
  })

  test('removes what has expired, both halves, and keeps the rest', async () => {
    const { node, collector } = collected({ services: oneBackend(v4) })
    node.fromPod(frame({ from: '10.244.0.4:40000', to: vip, tcp: 'S' }))
    converse(node, { ...v4, client: '10.244.0.3:40000' })
    connect(node, v4)
    node.tables.age(200)
    const fresh = '10.244.0.5:40000'
    node.fromPod(frame({ from: fresh, to: vip, tcp: 'S' }))
    const { flows, halfOpen, expired, entries } = await collect(collector)
    assert.deepEqual([flows, halfOpen, expired, entries], [1, 1, 4, 8])
    const clients = node.tables.entries().map((entry) => {
      const isForward = entry.key.dport === 80
      return isForward ? entry.key.saddr : entry.key.daddr
    })
    assert.deepEqual(clients.sort(), ['10.244.0.2', '10.244.0.2', '10.244.0.5', '10.244.0.5'])
  })

  test('judges both halves alike, whichever of them was seen last', async () => {
    const { node, collector } = collected({ services: oneBackend(v4) })
    connect(node, v4)
    for (const send of [
      (): unknown => node.fromPod(ask(v4, { tcp: 'A' })),
      (): unknown => node.toPod(answer(v4, { tcp: 'A' })),
    ]) {
      node.tables.age(7000)
      send()
      node.tables.age(7000)
      const report = await collect(collector)
      assert.equal(report.expired, 0)
      assert.equal(report.entries, 2)
      send()
    }
  })

  test('uses the lifetime of the state that a flow is in', async () => {
    const { node, collector } = collected({ services: oneBackend(v4) })
    connect(node, v4)
    node.fromPod(ask(v4, { tcp: 'FA' }))
    node.tables.age(3000)
    assert.equal((await collect(collector)).expired, 0)
    node.toPod(answer(v4, { tcp: 'FA' }))
    node.tables.age(30)
    assert.equal((await collect(collector)).expired, 2)
    assert.deepEqual(node.tables.lines(), [])
  })

  test('sweeps 200 000 entries in one run', async (context) => {
    const { node, collector } = collected({
      services: { [tcp(vip)]: [backend], [udp(vip)]: [backend] },
      entries: { flows: 262_144 },
    })
    connect(node, v4)
    const { key, flow: value } = node.tables.entry(`${client} > ${vip}`)
    const flows = node.programs.map('flows')
    for (let start = 0; start < 200_000; start += 1000) {
      const batch = Array.from({ length: 1000 }, (_, at): [Buffer, Buffer] => {
        const number = start + at
        const bytes: [Buffer, Buffer] = [Buffer.alloc(flowKey.size), Buffer.alloc(flow.size)]
        const saddr = `10.${number >> 16}.${(number >> 8) & 255}.${number & 255}`
        const last_seen = number % 2 === 0 ? value.last_seen : (value.last_seen - 8000) >>> 0
        flowKey.format(bytes[0], { ...key, saddr })
        flow.format(bytes[1], { ...value, last_seen })
        return bytes
      })
      flows.setBatch(batch)
    }
    const { milliseconds, ...report } = await collect(collector)
    context.diagnostic(`${report.entries} entries in ${milliseconds.toFixed(1)} ms`)
    assert.deepEqual(report, { flows: 100_001, halfOpen: 0, expired: 100_000, entries: 200_002 })
  })
})
