import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { answer, ask, converse, oneBackend, tcp, udp, v4 } from './cast.ts'
import { datapath, type Node } from './harness.ts'
import { frame } from './packet.ts'

const { client, vip, backend, others } = v4
const [second] = others as [string]

function backendsOf(count: number): string[] {
  return Array.from({ length: count }, (_, at) => `10.245.${at >> 8}.${at & 255}:9000`)
}

/** How many of so many clients each backend gets. */
function spread(node: Node, from: readonly string[]): Map<string, number> {
  const hits = new Map<string, number>()
  for (const source of from) {
    const { text } = node.fromPod(frame({ from: source, to: vip, tcp: 'S' }))
    const chosen = / > (\S+)/.exec(text)![1]!
    hits.set(chosen, (hits.get(chosen) ?? 0) + 1)
  }
  return hits
}

function chiSquared(hits: Map<string, number>, backends: number, total: number): number {
  const expected = total / backends
  const missing = (backends - hits.size) * expected
  return [...hits.values()].reduce((sum, hit) => sum + (hit - expected) ** 2 / expected, missing)
}

describe('the choice of a backend', () => {
  const oneClient = Array.from({ length: 6000 }, (_, at) => `10.244.0.2:${20000 + at}`)
  const manyClients = Array.from({ length: 6000 }, (_, at) => `10.${at >> 8}.3.${at & 255}:40000`)
  /* 99.9 % quantiles of chi squared with 2, 6 and 99 degrees of freedom. */
  const limits = new Map([
    [3, 13.8],
    [7, 22.5],
    [100, 148.3],
  ])
  for (const [count, limit] of limits) {
    for (const [name, from] of [
      ['ports of one client', oneClient],
      ['clients with one port', manyClients],
    ] as const) {
      test(`spreads ${name} evenly over ${count} backends`, () => {
        const node = datapath({
          services: { [tcp(vip)]: backendsOf(count) },
          entries: { half_open: 16384 },
        })
        const score = chiSquared(spread(node, from), count, from.length)
        assert.ok(score < limit, `chi squared ${score.toFixed(1)}`)
      })
    }
  }

  test('depends on the seed', () => {
    const sources = oneClient.slice(0, 200)
    const choices = [1, 2].map((hash_seed) => {
      const node = datapath({ services: { [tcp(vip)]: backendsOf(7) }, globals: { hash_seed } })
      return sources.map((from) => node.fromPod(frame({ from, to: vip, tcp: 'S' })).text)
    })
    assert.notDeepEqual(choices[0], choices[1])
  })
})

describe('a local-only frontend', () => {
  test('uses only backends of this node', () => {
    const backends = backendsOf(10)
    const node = datapath({ services: { [tcp(vip)]: { backends, local: 2, localOnly: true } } })
    const from = Array.from({ length: 100 }, (_, at) => `10.244.0.2:${20000 + at}`)
    const hits = spread(node, from)
    assert.deepEqual([...hits.keys()].sort(), backends.slice(0, 2))
  })

  test('drops without a local backend, though there are others', () => {
    const options = { backends: [backend], local: 0, localOnly: true }
    const node = datapath({ services: { [tcp(vip)]: options, [udp(vip)]: options } })
    assert.equal(node.fromPod(ask(v4)).text, 'drop')
    assert.equal(node.fromPod(ask(v4, { udp: true })).text, 'drop')
    assert.deepEqual(node.counted(), { drop_no_local_endpoint: 2 })
  })

  test('never sends a mid-flow packet to a backend of another node', () => {
    const options = { backends: [backend], local: 0, localOnly: true }
    const node = datapath({ services: { [tcp(vip)]: options } })
    assert.equal(node.fromPod(ask(v4, { tcp: 'A' })).text, 'drop')
    assert.deepEqual(node.counted(), { drop_no_local_endpoint: 1 })
  })
})

describe('a publication', () => {
  test('is used by the very next connection', () => {
    const node = datapath({ services: { [tcp(vip)]: [backend] } })
    node.fromPod(ask(v4))
    node.publish(tcp(vip), [second])
    const next = node.fromPod(frame({ from: '10.244.0.2:40001', to: vip, tcp: 'S' }))
    assert.equal(next.text, `next: TCP 10.244.0.2:40001 > ${second} [S]`)
  })

  test('whose extent names another frontend is not believed', () => {
    const node = datapath({ services: { [tcp(vip)]: [backend], [tcp(v4.otherVip)]: [second] } })
    node.writeWord(node.indexOf(tcp(vip)), { base: 2 * 128, count: 1 })
    assert.equal(node.fromPod(ask(v4)).text, 'drop')
    assert.deepEqual(node.counted(), { drop_backend_stale: 1 })
    assert.deepEqual(node.tables.lines(), [])
  })

  test('that points behind the end of the backends is not followed', () => {
    const node = datapath({ services: { [tcp(vip)]: [backend] } })
    node.writeWord(node.indexOf(tcp(vip)), { base: 0xfffff0, count: 3 })
    assert.equal(node.fromPod(ask(v4)).text, 'drop')
    assert.deepEqual(node.counted(), { drop_backend_stale: 1 })
  })

  test('of no backend at all is not read as the first slot', () => {
    const node = datapath({ services: { [tcp(vip)]: [backend] } })
    node.writeWord(node.indexOf(tcp(vip)), { base: 128, count: 0 })
    assert.equal(node.fromPod(ask(v4)).verdict, 'redirect')
    assert.deepEqual(node.counted(), { reject_no_endpoint: 1 })
  })
})

describe('a frontend whose hash element was recycled', () => {
  test('is a miss, and the VIP answers for an unused port', () => {
    const node = datapath({ services: { [tcp(vip)]: [backend] } })
    node.breakEcho(tcp(vip))
    assert.equal(node.fromPod(ask(v4)).verdict, 'redirect')
    assert.deepEqual(node.counted(), { reject_unused_port: 1 })
  })

  test('is left alone where the address is not ours', () => {
    const node = datapath({ services: { [tcp(vip)]: { backends: [backend], ownsAddress: false } } })
    node.breakEcho(tcp(vip))
    assert.equal(node.fromPod(ask(v4)).text, 'next: untouched')
  })
})

describe('datagrams whose backend goes away', () => {
  test('move with the next one', () => {
    const node = datapath({ services: oneBackend(v4) })
    converse(node, v4)
    node.publish(udp(vip), [second])
    node.kill(udp(vip), backend)
    assert.equal(node.fromPod(ask(v4, { udp: true })).text, `next: UDP ${client} > ${second}`)
    assert.deepEqual(node.counted(), { forward: 1, flow_created: 1, flow_backend_gone: 1 })
    const back = node.toPod(answer({ ...v4, backend: second }, { udp: true }))
    assert.equal(back.text, `next: UDP ${vip} > ${client}`)
  })

  test('move when the backend’s id was given to another in the meantime', () => {
    const node = datapath({ services: oneBackend(v4) })
    converse(node, v4)
    node.publish(udp(vip), [second])
    node.setState(node.idOf(udp(vip), backend), 2, true)
    assert.equal(node.fromPod(ask(v4, { udp: true })).text, `next: UDP ${client} > ${second}`)
  })

  test('stay while the backend lives, whatever is published', () => {
    const node = datapath({ services: oneBackend(v4) })
    converse(node, v4)
    node.publish(udp(vip), [second])
    assert.equal(node.fromPod(ask(v4, { udp: true })).text, `next: UDP ${client} > ${backend}`)
  })

  test('are told when none is left, and served again when one is back', () => {
    const node = datapath({ services: oneBackend(v4) })
    converse(node, v4)
    node.publish(udp(vip), [])
    node.kill(udp(vip), backend)
    assert.equal(node.fromPod(ask(v4, { udp: true })).verdict, 'redirect')
    node.publish(udp(vip), [second])
    assert.equal(node.fromPod(ask(v4, { udp: true })).text, `next: UDP ${client} > ${second}`)
  })

  test('are left to the host stack when the Service is gone', () => {
    const node = datapath({ services: oneBackend(v4) })
    converse(node, v4)
    node.withdraw(udp(vip))
    assert.equal(node.fromPod(ask(v4, { udp: true })).text, 'next: untouched')
    assert.deepEqual(node.tables.lines(), [])
  })

  test('do not take their answers with them: the old backend’s last one arrives', () => {
    const node = datapath({ services: oneBackend(v4) })
    converse(node, v4)
    node.kill(udp(vip), backend)
    assert.equal(node.toPod(answer(v4, { udp: true })).text, `next: UDP ${vip} > ${client}`)
  })
})
