import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fillTable } from '../../src/plan/maglev.ts'
import { tcp, v4 } from './cast.ts'
import { datapath, type Node } from './harness.ts'
import { frame } from './packet.ts'

const { vip } = v4
const backends = Array.from({ length: 7 }, (_, at) => `10.245.0.${at + 1}:9000`)
const clients = Array.from({ length: 600 }, (_, at) => `10.${at >> 8}.3.${at & 255}:${40_000 + at}`)

/** A node with a table of these backends; 127 places fit into an extent of the tests. */
function nodeWith(names: readonly string[], seed: number, maglev = true): Node {
  const table = Array.from(fillTable(names, 127), (at) => names[at]!)
  const services = { [tcp(vip)]: { backends: table, maglev } }
  return datapath({ services, globals: { hash_seed: seed } })
}

function choices(node: Node): string[] {
  return clients.map((from) => {
    const { text } = node.fromPod(frame({ from, to: vip, tcp: 'S' }))
    return / > (\S+)/.exec(text)![1]!
  })
}

describe('a frontend with Maglev tables', () => {
  test('sends a tuple to the same backend on all nodes, whatever their seed and order', () => {
    const here = choices(nodeWith(backends, 1))
    const there = choices(nodeWith([...backends].reverse(), 2))
    assert.deepEqual(there, here)
    assert.equal(new Set(here).size, backends.length)
  })

  test('moves only the clients of a backend that goes, and few others', () => {
    const before = choices(nodeWith(backends, 1))
    const after = choices(nodeWith(backends.slice(1), 2))
    const others = before.flatMap((chosen, at) => (chosen === backends[0] ? [] : [at]))
    const moved = others.filter((at) => after[at] !== before[at])
    assert.ok(moved.length < others.length * 0.25, `${moved.length} of ${others.length} moved`)
  })

  test('without the flag nodes do not agree', () => {
    const [here, there] = [1, 2].map((seed) => choices(nodeWith(backends, seed, false)))
    assert.notDeepEqual(here, there)
  })
})
