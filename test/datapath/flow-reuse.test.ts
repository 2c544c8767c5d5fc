import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { answer, ask, connect, converse, oneBackend, tcp, udp, v4 } from './cast.ts'
import { datapath, type Node } from './harness.ts'

/** Ticks a flow may stay silent: the defaults of bpf/config.h. */
const lifetimes = {
  syn: 28,
  established: 7544,
  halfClosed: 3353,
  fin: 28,
  reset: 10,
  unreplied: 28,
  replied: 168,
}

const { client, vip, backend } = v4
const [second] = v4.others as [string]
const forwardTuple = `${client} > ${vip}`

function connected(): Node {
  const node = datapath({ services: oneBackend(v4) })
  connect(node, v4)
  return node
}

function closed(): Node {
  const node = connected()
  node.fromPod(ask(v4, { tcp: 'FA' }))
  node.toPod(answer(v4, { tcp: 'FA' }))
  node.fromPod(ask(v4, { tcp: 'A' }))
  node.counted()
  return node
}

describe('a client that uses its port again', () => {
  const cases: [string, () => Node][] = [
    ['after both FINs', closed],
    [
      'after a reset',
      () => {
        const node = connected()
        node.fromPod(ask(v4, { tcp: 'R' }))
        return node
      },
    ],
    [
      'after the flow expired',
      () => {
        const node = connected()
        node.tables.age(lifetimes.established + 1)
        return node
      },
    ],
    [
      'after a SYN that nobody answered expired',
      () => {
        const node = datapath({ services: oneBackend(v4) })
        node.fromPod(ask(v4))
        node.tables.age(lifetimes.syn + 1)
        return node
      },
    ],
  ]
  for (const [when, prepare] of cases) {
    test(`${when} gets a new choice among the backends of now`, () => {
      const node = prepare()
      node.counted()
      node.publish(tcp(vip), [second])
      assert.equal(node.fromPod(ask(v4)).text, `next: TCP ${client} > ${second} [S]`)
      assert.equal(node.counted().flow_created, 1)
      assert.deepEqual(node.tables.lines(), [
        `half_open: TCP ${forwardTuple} = ${client} > ${second} []`,
        `half_open: TCP ${second} > ${client} = ${vip} > ${client} [reverse egress]`,
      ])
    })
  }

  test('to dial the backend itself is not taken for the closed connection', () => {
    const node = closed()
    const direct = { ...v4, vip: backend }
    assert.equal(node.fromPod(ask(direct)).text, 'next: untouched')
    assert.equal(node.toPod(answer(v4, { tcp: 'SA' })).text, 'next: untouched')
  })

  test('to dial the backend itself leaves a living connection through the VIP alone', () => {
    const node = connected()
    node.fromPod(ask({ ...v4, vip: backend }))
    assert.equal(node.toPod(answer(v4, { tcp: 'A' })).text, `next: TCP ${vip} > ${client} [A]`)
  })

  test('on a half-closed connection that lives keeps the old flow until it sends a SYN', () => {
    const node = connected()
    node.toPod(answer(v4, { tcp: 'FA' }))
    assert.equal(node.fromPod(ask(v4, { tcp: 'A' })).text, `next: TCP ${client} > ${backend} [A]`)
    node.publish(tcp(vip), [second])
    assert.equal(node.fromPod(ask(v4)).text, `next: TCP ${client} > ${second} [S]`)
  })
})

describe('datagram flows', () => {
  test('live half a minute without a reply', () => {
    const node = datapath({ services: oneBackend(v4) })
    node.fromPod(ask(v4, { udp: true }))
    node.tables.age(lifetimes.unreplied + 1)
    assert.equal(node.toPod(answer(v4, { udp: true })).text, 'next: untouched')
  })

  test('live three minutes after a reply', () => {
    const node = datapath({ services: oneBackend(v4) })
    converse(node, v4)
    node.tables.age(lifetimes.replied - 1)
    assert.equal(node.toPod(answer(v4, { udp: true })).text, `next: UDP ${vip} > ${client}`)
    node.tables.age(lifetimes.replied + 1)
    assert.equal(node.toPod(answer(v4, { udp: true })).text, 'next: untouched')
  })

  test('expired get a new choice with the next datagram', () => {
    const node = datapath({ services: oneBackend(v4) })
    converse(node, v4)
    node.tables.age(lifetimes.replied + 1)
    node.publish(udp(vip), [second])
    assert.equal(node.fromPod(ask(v4, { udp: true })).text, `next: UDP ${client} > ${second}`)
    assert.equal(node.counted().flow_expired, 1)
  })

  test('that are never answered are counted once and stay half open', () => {
    const node = datapath({ services: oneBackend(v4) })
    for (let i = 0; i < 4; i++) {
      node.tables.age(1)
      node.fromPod(ask(v4, { udp: true }))
    }
    assert.deepEqual(node.counted(), { forward: 4, flow_created: 1 })
    assert.match(node.tables.lines()[0]!, /^half_open/)
  })
})
