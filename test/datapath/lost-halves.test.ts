import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { answer, ask, casts, connect, converse, oneBackend, tcp, v4 } from './cast.ts'
import { datapath } from './harness.ts'

for (const cast of casts) {
  const { family, client, vip, backend } = cast
  const forwardTuple = `${client} > ${vip}`
  const reverseTuple = `${backend} > ${client}`
  const others = [backend, ...cast.others]

  describe(`${family} flows that lost a half`, () => {
    test('without the client’s half: the next packet of the client finds the same backend', () => {
      const node = datapath({ services: { [tcp(vip)]: others } })
      const first = node.fromPod(ask(cast)).text
      const chosen = first.split(' > ')[1]!.split(' ')[0]!
      node.toPod(answer({ ...cast, backend: chosen }, { tcp: 'SA' }))
      node.fromPod(ask(cast, { tcp: 'A' }))
      node.tables.forget(forwardTuple)
      node.counted()
      const out = node.fromPod(ask(cast, { tcp: 'A' }))
      assert.equal(out.text, `next: TCP ${client} > ${chosen} [A]`)
      assert.deepEqual(node.counted(), { forward: 1, flow_twin_rebuilt: 1 })
      assert.match(node.tables.entry(forwardTuple).table, /^flows$/)
    })

    test('in the middle of the handshake: the client’s word finds the same backend', () => {
      const node = datapath({ services: { [tcp(vip)]: others } })
      const chosen = node.fromPod(ask(cast)).text.split(' > ')[1]!.split(' ')[0]!
      node.toPod(answer({ ...cast, backend: chosen }, { tcp: 'SA' }))
      node.tables.forget(forwardTuple)
      node.counted()
      node.grace(60)
      const out = node.fromPod(ask(cast, { tcp: 'A' }))
      assert.equal(out.text, `next: TCP ${client} > ${chosen} [A]`)
      assert.deepEqual(node.counted(), { forward: 1, flow_twin_rebuilt: 1, flow_promoted: 1 })
      assert.match(node.tables.entry(forwardTuple).table, /^flows$/)
    })

    test('without the client’s half: a later packet of the backend rebuilds it', () => {
      const node = datapath({ services: oneBackend(cast) })
      connect(node, cast)
      node.tables.forget(forwardTuple)
      node.tables.age(1)
      node.toPod(answer(cast, { tcp: 'A' }))
      assert.deepEqual(node.counted(), { reverse: 1, flow_twin_rebuilt: 1 })
      assert.equal(
        node.fromPod(ask(cast, { tcp: 'A' })).text,
        `next: TCP ${client} > ${backend} [A]`,
      )
    })

    test('without the backend’s half: a later packet of the client rebuilds it', () => {
      const node = datapath({ services: oneBackend(cast) })
      connect(node, cast)
      node.tables.forget(reverseTuple)
      node.tables.age(1)
      node.fromPod(ask(cast, { tcp: 'A' }))
      assert.deepEqual(node.counted(), { forward: 1, flow_twin_rebuilt: 1 })
      assert.equal(node.toPod(answer(cast, { tcp: 'A' })).text, `next: TCP ${vip} > ${client} [A]`)
    })

    test('rebuild exactly what was lost', () => {
      const node = datapath({ services: oneBackend(cast) })
      connect(node, cast)
      const before = node.tables.lines()
      const value = node.tables.entry(reverseTuple).flow
      node.tables.forget(reverseTuple)
      node.tables.age(1)
      node.fromPod(ask(cast, { tcp: 'A' }))
      assert.deepEqual(node.tables.lines(), before)
      const rebuilt = node.tables.entry(reverseTuple).flow
      assert.deepEqual({ ...rebuilt, last_seen: 0 }, { ...value, last_seen: 0 })
    })

    test('rebuild the client’s half with the same deltas', () => {
      const node = datapath({ services: oneBackend(cast) })
      connect(node, cast)
      const value = node.tables.entry(forwardTuple).flow
      node.tables.forget(forwardTuple)
      node.fromPod(ask(cast, { tcp: 'A' }))
      const rebuilt = node.tables.entry(forwardTuple).flow
      assert.deepEqual({ ...rebuilt, last_seen: 0 }, { ...value, last_seen: 0 })
    })

    test('of datagrams: the client’s next one goes to the same backend, established', () => {
      const node = datapath({ services: oneBackend(cast) })
      converse(node, cast)
      node.tables.forget(forwardTuple)
      assert.equal(node.fromPod(ask(cast, { udp: true })).text, `next: UDP ${client} > ${backend}`)
      assert.deepEqual(node.counted(), { forward: 1, flow_twin_rebuilt: 1 })
      assert.equal(node.tables.entry(forwardTuple).table, 'flows')
    })
  })
}

describe('flows that lost both halves', () => {
  const { client, vip, backend } = v4

  test('make the same choice again, and the connection goes on', () => {
    const node = datapath({ services: { [tcp(vip)]: [backend, ...v4.others] } })
    const first = node.fromPod(ask(v4)).text
    const chosen = first.split(' > ')[1]!.split(' ')[0]!
    node.toPod(answer({ ...v4, backend: chosen }, { tcp: 'SA' }))
    node.tables.forgetAll()
    node.counted()
    const out = node.fromPod(ask(v4, { tcp: 'A' }))
    assert.equal(out.text, `next: TCP ${client} > ${chosen} [A]`)
    assert.deepEqual(node.counted(), { forward: 1, flow_choice_repeated: 1, flow_created: 1 })
    const back = node.toPod(answer({ ...v4, backend: chosen }, { tcp: 'A' }))
    assert.equal(back.text, `next: TCP ${vip} > ${client} [A]`)
  })

  test('have their answers translated though these are no handshake', () => {
    const node = datapath({ services: oneBackend(v4) })
    node.fromPod(ask(v4, { tcp: 'A' }))
    const back = node.toPod(answer(v4, { tcp: 'A' }))
    assert.equal(back.text, `next: TCP ${vip} > ${client} [A]`)
    assert.equal(node.counted().flow_promoted, 1)
    assert.equal(node.toPod(answer(v4, { tcp: 'A' })).text, back.text)
  })

  test('are left to the host stack during the grace period', () => {
    const node = datapath({ services: oneBackend(v4) })
    node.grace(60)
    assert.equal(node.fromPod(ask(v4, { tcp: 'A' })).text, 'next: untouched')
    assert.deepEqual(node.counted(), { midflow_passed: 1 })
    assert.deepEqual(node.tables.lines(), [])
  })

  test('are ours again when the grace period is over', () => {
    const node = datapath({ services: oneBackend(v4) })
    node.grace(-1)
    assert.equal(node.fromPod(ask(v4, { tcp: 'A' })).text, `next: TCP ${client} > ${backend} [A]`)
  })

  test('are found by their other half even during the grace period', () => {
    const node = datapath({ services: oneBackend(v4) })
    connect(node, v4)
    node.tables.forget(`${client} > ${vip}`)
    node.grace(60)
    assert.equal(node.fromPod(ask(v4, { tcp: 'A' })).text, `next: TCP ${client} > ${backend} [A]`)
  })

  test('new connections are ours during the grace period', () => {
    const node = datapath({ services: oneBackend(v4) })
    node.grace(60)
    assert.equal(node.fromPod(ask(v4)).text, `next: TCP ${client} > ${backend} [S]`)
  })
})

describe('TCP from nowhere', () => {
  const { vip, client } = v4

  test('to a VIP without that frontend is answered with a reset', () => {
    const node = datapath({ services: oneBackend(v4) })
    const out = node.fromPod(ask({ ...v4, vip: '10.96.0.10:81' }, { tcp: 'A', seq: 5, ack: 77 }))
    assert.equal(out.text, `redirect: TCP 10.96.0.10:81 > ${client} [R]`)
    assert.deepEqual(node.counted(), { reject_midflow: 1 })
  })

  test('a stray reset to a VIP is dropped', () => {
    const node = datapath({ services: oneBackend(v4) })
    assert.equal(node.fromPod(ask(v4, { tcp: 'R' })).text, 'drop')
    assert.deepEqual(node.counted(), { drop_midflow_reset: 1 })
    assert.deepEqual(node.tables.lines(), [])
  })

  test('to a frontend that has no backend is answered with a reset', () => {
    const node = datapath({ services: { [tcp(vip)]: [] } })
    assert.equal(
      node.fromPod(ask(v4, { tcp: 'A', ack: 7 })).text,
      `redirect: TCP ${vip} > ${client} [R]`,
    )
    assert.deepEqual(node.counted(), { reject_midflow: 1 })
  })

  for (const flags of ['', 'F', 'P', 'FP', 'SF', 'SA', 'SFA', 'SR', 'SFPA']) {
    test(`with flags [${flags}] never makes a flow`, () => {
      const node = datapath({ services: oneBackend(v4) })
      assert.equal(node.fromPod(ask(v4, { tcp: flags })).verdict, 'drop')
      assert.deepEqual(node.tables.lines(), [])
    })
  }

  test('to an address that is no VIP of ours is left alone whatever its flags', () => {
    const node = datapath({ services: oneBackend(v4) })
    for (const flags of ['', 'A', 'F', 'R', 'SF', 'SA', 'S']) {
      const out = node.fromPod(ask({ ...v4, vip: v4.stranger }, { tcp: flags }))
      assert.equal(out.text, 'next: untouched')
    }
    assert.deepEqual(node.counted(), {})
  })
})
