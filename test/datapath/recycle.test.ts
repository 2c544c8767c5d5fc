import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { testRunAsync } from '../../src/datapath/native-run.ts'
import { ask, connect, oneBackend, v4 } from './cast.ts'
import { describeFrame } from './describe-packet.ts'
import { datapath, type Node } from './harness.ts'
import { frame } from './packet.ts'
import { tupleText, type Entry } from './tables.ts'

const { vip, backend } = v4
const ports = Array.from({ length: 64 }, (_, at) => 41000 + at)
const rounds = 150

/** Each client's handshake, on several CPUs at once; what came out that should not have. */
async function storm(node: Node): Promise<Map<string, number>> {
  const wrong = new Map<string, number>()
  const send = async (programFd: number, data: Buffer, wanted: string): Promise<void> => {
    const out = await testRunAsync({ programFd, data })
    const text = describeFrame(Buffer.from(out.data))
    const isFine = out.data.equals(data) || text === wanted
    if (!isFine) wrong.set(`${text} for ${wanted}`, (wrong.get(text) ?? 0) + 1)
  }
  for (let round = 0; round < rounds; round++) {
    await Promise.all(
      ports.map(async (port) => {
        const client = `10.244.0.2:${port}`
        const { ingress, egress } = node.programs
        const syn = frame({ from: client, to: vip, tcp: 'S' })
        await send(ingress, syn, `TCP ${client} > ${backend} [S]`)
        const answer = frame({ from: backend, to: client, tcp: 'SA' })
        await send(egress, answer, `TCP ${vip} > ${client} [SA]`)
        const reset = frame({ from: client, to: vip, tcp: 'R' })
        await send(ingress, reset, `TCP ${client} > ${backend} [R]`)
      }),
    )
  }
  return wrong
}

/** Does an entry say what it should, given its key? */
function isRight({ key, flow }: Entry): boolean {
  const client = key.dport === 80 ? tupleText(key).split(' > ')[0] : tupleText(key).split(' > ')[1]
  const wanted = key.dport === 80 ? `${client} > ${backend}` : `${vip} > ${client}`
  return tupleText(flow) === wanted
}

describe('an element that became another flow’s', () => {
  const services = oneBackend(v4)

  test('is a miss for a client: its packet gets a flow of its own', () => {
    const node = datapath({ services })
    connect(node, v4)
    const { key, flow } = node.tables.entry(`${v4.client} > ${vip}`)
    const other = { ...v4, client: '10.244.0.3:40000' }
    node.tables.put('flows', { ...key, saddr: '10.244.0.3' }, flow)
    const out = node.fromPod(ask(other, { tcp: 'A' }))
    assert.equal(out.text, `next: TCP ${other.client} > ${backend} [A]`)
  })

  test('is a miss for an answer: it is left alone', () => {
    const node = datapath({ services })
    connect(node, v4)
    const { key, flow } = node.tables.entry(`${backend} > ${v4.client}`)
    for (const changes of [{ daddr: '10.244.0.3' }, { dport: 40001 }]) {
      node.tables.put('flows', { ...key, ...changes }, flow)
      const to = `${changes.daddr ?? key.daddr}:${changes.dport ?? key.dport}`
      const out = node.toPod(frame({ from: backend, to, tcp: 'A' }))
      assert.equal(out.text, 'next: untouched')
    }
  })
})

describe('tables so small that elements are recycled under their readers', () => {
  for (const entries of [1, 2, 3, 8]) {
    test(`${entries} entries: no entry leads astray, hardly a packet does`, async (context) => {
      const sizes = { flows: entries, half_open: entries }
      const node = datapath({ services: oneBackend(v4), entries: sizes })
      const wrong = await storm(node)
      const lost = [...wrong.values()].reduce((sum, times) => sum + times, 0)
      const sent = ports.length * rounds * 3
      context.diagnostic(`${lost} of ${sent} packets met another flow’s element`)
      assert.ok(lost <= sent / 1000, [...wrong.keys()].join('\n'))
      const odd = node.tables.entries().filter((entry) => !isRight(entry))
      assert.deepEqual(
        odd.map((entry) => tupleText(entry.key)),
        [],
      )
    })
  }
})
