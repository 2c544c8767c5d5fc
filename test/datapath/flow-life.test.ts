import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { answer, ask, casts, connect, oneBackend, tcp, v4 } from './cast.ts'
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
const reverseTuple = `${backend} > ${client}`

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

describe('a flow without a reply', () => {
  test('is kept apart from established flows, both halves', () => {
    const node = datapath({ services: oneBackend(v4) })
    node.fromPod(ask(v4))
    assert.deepEqual(node.tables.lines(), [
      `half_open: TCP ${forwardTuple} = ${client} > ${backend} []`,
      `half_open: TCP ${reverseTuple} = ${vip} > ${client} [reverse egress]`,
    ])
  })

  for (const cast of casts) {
    test(`stays half open when the backend answers the handshake (${cast.family})`, () => {
      const node = datapath({ services: oneBackend(cast) })
      node.fromPod(ask(cast))
      node.toPod(answer(cast, { tcp: 'SA' }))
      assert.deepEqual(
        node.tables.lines(),
        [
          `half_open: TCP ${cast.client} > ${cast.vip} = ${cast.client} > ${cast.backend} [answered]`,
          `half_open: TCP ${cast.backend} > ${cast.client} = ${cast.vip} > ${cast.client} [reverse egress answered]`,
        ].sort(),
      )
      node.tables.age(lifetimes.syn + 1)
      assert.equal(node.toPod(answer(cast, { tcp: 'SA' })).text, 'next: untouched')
      assert.deepEqual(node.tables.lines(), [])
    })

    test(`becomes established with the client’s next word, both halves (${cast.family})`, () => {
      const node = datapath({ services: oneBackend(cast) })
      node.fromPod(ask(cast))
      node.toPod(answer(cast, { tcp: 'SA' }))
      assert.equal(node.fromPod(ask(cast, { tcp: 'A' })).verdict, 'next')
      assert.deepEqual(
        node.tables.lines(),
        [
          `flows: TCP ${cast.client} > ${cast.vip} = ${cast.client} > ${cast.backend} [replied]`,
          `flows: TCP ${cast.backend} > ${cast.client} = ${cast.vip} > ${cast.client} [reverse egress replied]`,
        ].sort(),
      )
    })
  }

  test('becomes established though its client half was evicted', () => {
    const node = datapath({ services: oneBackend(v4) })
    node.fromPod(ask(v4))
    node.tables.forget(forwardTuple)
    assert.equal(node.toPod(answer(v4, { tcp: 'SA' })).text, `next: TCP ${vip} > ${client} [SA]`)
    assert.equal(node.fromPod(ask(v4, { tcp: 'A' })).text, `next: TCP ${client} > ${backend} [A]`)
    assert.equal(node.tables.lines().length, 2)
  })

  test('has an acknowledgement of no answer translated, and stays half open', () => {
    const node = datapath({ services: oneBackend(v4) })
    node.fromPod(ask(v4))
    assert.equal(node.fromPod(ask(v4, { tcp: 'A' })).text, `next: TCP ${client} > ${backend} [A]`)
    assert.deepEqual(node.counted(), { flow_created: 1, forward: 2 })
    assert.match(node.tables.lines().join(), /^half_open.*half_open/)
  })

  test('is not promoted by a reset from the backend, which still reaches the client', () => {
    const node = datapath({ services: oneBackend(v4) })
    node.fromPod(ask(v4))
    assert.equal(node.toPod(answer(v4, { tcp: 'RA' })).text, `next: TCP ${vip} > ${client} [RA]`)
    assert.deepEqual(node.tables.lines(), [
      `half_open: TCP ${forwardTuple} = ${client} > ${backend} [reset-reverse]`,
      `half_open: TCP ${reverseTuple} = ${vip} > ${client} [reverse egress reset-reverse]`,
    ])
  })

  test('has its reply half rebuilt by the client’s next SYN', () => {
    const node = datapath({ services: oneBackend(v4) })
    node.fromPod(ask(v4))
    node.tables.forget(reverseTuple)
    node.fromPod(ask(v4))
    assert.equal(node.counted().flow_twin_rebuilt, 1)
    assert.equal(node.toPod(answer(v4, { tcp: 'SA' })).text, `next: TCP ${vip} > ${client} [SA]`)
  })
})

describe('a repeated SYN', () => {
  const backends = [backend, ...v4.others]

  test('goes to the same backend', () => {
    const node = datapath({ services: { [tcp(vip)]: backends } })
    const first = node.fromPod(ask(v4)).text
    for (let i = 0; i < 5; i++) assert.equal(node.fromPod(ask(v4)).text, first)
    assert.deepEqual(node.counted(), { forward: 6, flow_created: 1 })
  })

  test('goes to the same backend though its flow was evicted', () => {
    const node = datapath({ services: { [tcp(vip)]: backends } })
    const first = node.fromPod(ask(v4)).text
    for (let i = 0; i < 5; i++) {
      node.tables.forgetAll()
      assert.equal(node.fromPod(ask(v4)).text, first)
    }
  })

  test('goes to the same backend while the set grows around it', () => {
    const node = datapath({ services: { [tcp(vip)]: [backend] } })
    node.fromPod(ask(v4))
    node.publish(tcp(vip), [...v4.others, backend])
    assert.equal(node.fromPod(ask(v4)).text, `next: TCP ${client} > ${backend} [S]`)
  })

  test('moves when its backend is gone', () => {
    const node = datapath({ services: { [tcp(vip)]: [backend] } })
    node.fromPod(ask(v4))
    node.publish(tcp(vip), [second])
    node.kill(tcp(vip), backend)
    assert.equal(node.fromPod(ask(v4)).text, `next: TCP ${client} > ${second} [S]`)
    assert.equal(node.counted().flow_backend_gone, 1)
  })
})

describe('an established connection', () => {
  test('stays with its backend when that is no longer in the set and no longer alive', () => {
    const node = connected()
    node.publish(tcp(vip), [second])
    node.kill(tcp(vip), backend)
    assert.equal(node.fromPod(ask(v4, { tcp: 'A' })).text, `next: TCP ${client} > ${backend} [A]`)
  })

  test('survives the deletion of its Service', () => {
    const node = connected()
    node.withdraw(tcp(vip))
    assert.equal(node.fromPod(ask(v4, { tcp: 'A' })).text, `next: TCP ${client} > ${backend} [A]`)
    assert.equal(node.toPod(answer(v4, { tcp: 'A' })).text, `next: TCP ${vip} > ${client} [A]`)
  })

  test('lives two hours of silence and not three', () => {
    const node = connected()
    node.tables.age(lifetimes.established - 1)
    assert.equal(node.fromPod(ask(v4, { tcp: 'A' })).text, `next: TCP ${client} > ${backend} [A]`)
    node.tables.age(lifetimes.established + 1)
    assert.equal(node.toPod(answer(v4, { tcp: 'A' })).text, 'next: untouched')
    assert.deepEqual(node.counted(), { forward: 1, flow_expired: 1 })
    assert.deepEqual(node.tables.lines(), [])
  })

  test('is kept alive in both halves by packets of one direction', () => {
    const node = connected()
    for (let i = 0; i < 3; i++) {
      node.tables.age(lifetimes.established - 1)
      node.toPod(answer(v4, { tcp: 'A' }))
    }
    assert.equal(node.fromPod(ask(v4, { tcp: 'A' })).text, `next: TCP ${client} > ${backend} [A]`)
  })

  test('is not disturbed by packets seen at the other hook', () => {
    const node = connected()
    node.tables.age(lifetimes.established + 1)
    assert.equal(node.fromPod(answer(v4, { tcp: 'A' })).text, 'next: untouched')
    assert.equal(node.toPod(ask(v4, { tcp: 'A' })).text, 'next: untouched')
    assert.equal(node.tables.lines().length, 2)
  })
})

describe('the end of a connection', () => {
  test('a FIN is noted on both halves', () => {
    const node = connected()
    node.fromPod(ask(v4, { tcp: 'FA' }))
    assert.match(node.tables.lines()[0]!, /\[replied fin-forward\]/)
    assert.match(node.tables.lines()[1]!, /\[reverse egress replied fin-forward\]/)
  })

  test('a half-closed connection lives an hour', () => {
    const node = connected()
    node.fromPod(ask(v4, { tcp: 'FA' }))
    node.tables.age(lifetimes.halfClosed - 1)
    assert.equal(node.toPod(answer(v4, { tcp: 'A' })).text, `next: TCP ${vip} > ${client} [A]`)
    node.tables.age(lifetimes.halfClosed + 1)
    assert.equal(node.toPod(answer(v4, { tcp: 'A' })).text, 'next: untouched')
  })

  test('with both FINs it lives half a minute', () => {
    const node = closed()
    node.tables.age(lifetimes.fin - 1)
    assert.equal(node.toPod(answer(v4, { tcp: 'A' })).text, `next: TCP ${vip} > ${client} [A]`)
    node.tables.age(lifetimes.fin + 1)
    assert.equal(node.toPod(answer(v4, { tcp: 'A' })).text, 'next: untouched')
  })

  for (const side of ['client', 'backend'] as const) {
    test(`after a reset by the ${side} it lives ten seconds`, () => {
      const node = connected()
      if (side === 'client') node.fromPod(ask(v4, { tcp: 'R' }))
      else node.toPod(answer(v4, { tcp: 'R' }))
      node.tables.age(lifetimes.reset + 1)
      assert.equal(node.toPod(answer(v4, { tcp: 'A' })).text, 'next: untouched')
      assert.equal(node.counted().flow_expired, 1)
    })

    test(`a reset by the ${side} that it does not mean is forgotten when it goes on`, () => {
      const node = connected()
      const send = (flags: string): string =>
        side === 'client'
          ? node.fromPod(ask(v4, { tcp: flags })).text
          : node.toPod(answer(v4, { tcp: flags })).text
      send('R')
      assert.match(node.tables.lines().join(), /reset/)
      send('A')
      assert.doesNotMatch(node.tables.lines().join(), /reset/)
      node.tables.age(lifetimes.established - 1)
      assert.match(send('A'), /^next: TCP/)
      assert.equal(node.counted().flow_expired, undefined)
    })
  }

  test('a reset by the backend is not forgotten because the client goes on', () => {
    const node = connected()
    node.toPod(answer(v4, { tcp: 'R' }))
    node.fromPod(ask(v4, { tcp: 'A' }))
    assert.match(node.tables.lines()[0]!, /reset-reverse/)
  })
})
