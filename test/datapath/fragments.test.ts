import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { answer, ask, casts, converse, host, oneBackend, type Cast } from './cast.ts'
import { datapath, type Node } from './harness.ts'
import { fragmentsOf, frame, type PacketSpec } from './packet.ts'

const payload = Buffer.from(Array.from({ length: 100 }, (_, at) => at))

function question({ client, vip }: Cast): PacketSpec {
  return { from: client, to: vip, udp: true, payload }
}

/** How the fragments of a translated packet should look. */
function expected({ client, backend }: Cast, id: number): Buffer[] {
  return fragmentsOf({ from: client, to: backend, udp: true, payload }, id, 48)
}

function send(node: Node, frames: readonly Buffer[]): Buffer[] {
  return frames.map((bytes) => {
    const out = node.fromPod(bytes)
    assert.equal(out.verdict, 'next')
    return out.frame
  })
}

for (const cast of casts) {
  const { family, client, vip, backend } = cast
  const pieces = (id: number): Buffer[] => fragmentsOf(question(cast), id, 48)

  describe(`${family} fragments`, () => {
    test('of one packet are all translated, the checksum in the first', () => {
      const node = datapath({ services: oneBackend(cast) })
      assert.deepEqual(send(node, pieces(7)), expected(cast, 7))
      assert.deepEqual(node.counted(), { forward: 3, flow_created: 1, fragment_translated: 2 })
    })

    test('of an answer are all translated', () => {
      const node = datapath({ services: oneBackend(cast) })
      converse(node, cast)
      const sent = fragmentsOf({ from: backend, to: client, udp: true, payload }, 9, 48)
      const wanted = fragmentsOf({ from: vip, to: client, udp: true, payload }, 9, 48)
      assert.deepEqual(
        sent.map((bytes) => node.toPod(bytes).frame),
        wanted,
      )
    })

    test('of a TCP segment are all translated', () => {
      const node = datapath({ services: oneBackend(cast) })
      const segment = { tcp: 'S', payload }
      const sent = fragmentsOf({ from: client, to: vip, ...segment }, 3, 48)
      const wanted = fragmentsOf({ from: client, to: backend, ...segment }, 3, 48)
      assert.deepEqual(send(node, sent), wanted)
    })

    test('that come before their first are dropped and counted, when they are for a VIP', () => {
      const node = datapath({ services: oneBackend(cast) })
      const [first, second] = pieces(7)
      assert.equal(node.fromPod(second!).text, 'drop')
      assert.deepEqual(node.counted(), { drop_fragment: 1 })
      assert.equal(node.fromPod(first!).verdict, 'next')
      assert.equal(node.fromPod(second!).verdict, 'next')
    })

    test('that come before their first are left alone, when they are for others', () => {
      const node = datapath({ services: oneBackend(cast) })
      const [, second] = fragmentsOf({ ...question(cast), to: cast.stranger }, 7, 48)
      assert.equal(node.fromPod(second!).text, 'next: untouched')
      assert.equal(node.toPod(second!).text, 'next: untouched')
      assert.deepEqual(node.counted(), {})
    })

    test('of two clients with the same id are not mixed up', () => {
      const node = datapath({ services: oneBackend(cast) })
      const second = { ...cast, client: client.replace(/2(\]?):40000$/, '3$1:50000') }
      const [mine, others] = [pieces(7), fragmentsOf(question(second), 7, 48)]
      const out = send(node, [mine[0]!, others[0]!, mine[1]!, others[1]!])
      assert.deepEqual(out, [
        expected(cast, 7)[0],
        expected(second, 7)[0],
        expected(cast, 7)[1],
        expected(second, 7)[1],
      ])
    })

    test('with an id that is used again belong to the newer packet', () => {
      const node = datapath({ services: oneBackend(cast) })
      const again = { ...cast, client: `${client.slice(0, client.lastIndexOf(':'))}:50000` }
      send(node, pieces(7))
      assert.deepEqual(send(node, fragmentsOf(question(again), 7, 48)), expected(again, 7))
      assert.equal(node.tables.has(`${again.client} > ${vip}`), true)
    })

    test('that come half a minute late are dropped', () => {
      const node = datapath({ services: oneBackend(cast) })
      const [first, second] = pieces(7)
      node.fromPod(first!)
      node.tables.age(30)
      assert.equal(node.fromPod(second!).text, 'drop')
    })

    test('whose first was rejected are dropped', () => {
      const node = datapath({ services: { [`${vip}/UDP`]: [] } })
      const [first, second] = pieces(7)
      // A fragment header is one of the extension headers that rejects do not handle.
      assert.equal(node.fromPod(first!).verdict, family === 'IPv4' ? 'redirect' : 'drop')
      assert.equal(node.fromPod(second!).text, 'drop')
      assert.equal(node.counted().drop_fragment, 1)
    })

    test('whose flow is gone are dropped and make no other', () => {
      for (const spec of [question(cast), { ...question(cast), tcp: 'S' }]) {
        const node = datapath({ services: oneBackend(cast) })
        const [first, second] = fragmentsOf(spec, 7, 48)
        node.fromPod(first!)
        node.tables.forgetAll()
        node.counted()
        assert.equal(node.fromPod(second!).text, 'drop')
        assert.deepEqual(node.counted(), { drop_fragment: 1 })
        assert.deepEqual(node.tables.lines(), [])
      }
    })

    test('too small for the ports are dropped, when they are for a VIP', () => {
      const node = datapath({ services: oneBackend(cast) })
      const tiny = { ...question(cast), tcp: 'S', fragment: { id: 7, offset: 0, more: true } }
      const rest = Buffer.alloc(8)
      assert.equal(node.fromPod(frame({ ...tiny, rest })).text, 'drop')
      assert.deepEqual(node.counted(), { drop_malformed: 1 })
    })

    test('with a UDP checksum of zero keep it', () => {
      const node = datapath({ services: oneBackend(cast) })
      const unsummed = { ...question(cast), udpChecksum: 'zero' as const }
      const wanted = { ...unsummed, to: backend }
      assert.deepEqual(send(node, fragmentsOf(unsummed, 7, 48)), fragmentsOf(wanted, 7, 48))
    })
  })
}

describe('fragments that are none', () => {
  test('an IPv6 packet in one piece with a fragment header is an ordinary packet', () => {
    const cast = casts[1]!
    const node = datapath({ services: oneBackend(cast) })
    const atomic = { udp: true, fragment: { id: 7, offset: 0, more: false }, payload: 'x' }
    const out = node.fromPod(ask(cast, atomic))
    assert.deepEqual(out.frame, frame({ from: cast.client, to: cast.backend, ...atomic }))
    assert.deepEqual(node.counted(), { forward: 1, flow_created: 1 })
  })

  test('later fragments of other protocols are left alone', () => {
    const cast = casts[0]!
    const node = datapath({ services: oneBackend(cast) })
    const ping = frame({
      from: `${host(cast.client)}:0`,
      to: `${host(cast.vip)}:0`,
      fragment: { id: 1, offset: 64, more: false },
      rest: Buffer.alloc(40),
      claim: { protocol: 1 },
    })
    assert.equal(node.fromPod(ping).text, 'next: untouched')
  })

  test('the answer to another client is not taken for a fragment of ours', () => {
    const cast = casts[0]!
    const node = datapath({ services: oneBackend(cast) })
    converse(node, cast)
    const [, second] = fragmentsOf(
      { from: cast.backend, to: cast.client, udp: true, payload },
      5,
      48,
    )
    assert.equal(node.toPod(second!).text, 'next: untouched')
    assert.equal(node.toPod(answer(cast, { udp: true })).verdict, 'next')
  })
})
