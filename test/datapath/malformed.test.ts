import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  answer,
  ask,
  casts,
  connect,
  converse,
  host,
  oneBackend,
  v4,
  v6,
  type Cast,
} from './cast.ts'
import { datapath, type Outcome } from './harness.ts'
import { fragmentsOf, frame, icmpError, ipOf, type PacketSpec } from './packet.ts'

const sizes = { IPv4: 20, IPv6: 40 }

/**
 * Every shortened copy of a frame that the kernel takes for a test run: with its link-layer header,
 * and with its IP header, unless a VLAN tag hides that.
 */
function truncations(whole: Buffer): Buffer[] {
  const type = whole.readUInt16BE(12)
  const shortest = type === 0x0800 ? 34 : type === 0x86dd ? 54 : 14
  return Array.from({ length: whole.length - shortest }, (_, cut) =>
    whole.subarray(0, shortest + cut),
  )
}

/** Addresses and ports as they lie in a frame without options and extensions. */
function tupleBytes(bytes: Buffer, family: Cast['family']): string {
  const at = family === 'IPv4' ? [26, 38] : [22, 58]
  return bytes.toString('hex', at[0], at[1])
}

/** What may become of a broken packet: nothing, a drop, or an exact translation of what is there. */
function assertHarmless(out: Outcome, sent: Buffer, wanted: Buffer, cast: Cast): void {
  if (out.verdict === 'drop' || out.frame.equals(sent)) return
  assert.equal(out.frame.length, sent.length)
  assert.equal(tupleBytes(out.frame, cast.family), tupleBytes(wanted, cast.family))
}

for (const cast of casts) {
  const { family, client, vip, backend } = cast
  const types: [string, Partial<PacketSpec>][] = [
    ['TCP', { tcp: 'A', payload: 'payload' }],
    ['UDP', { udp: true, payload: 'payload' }],
    ['TCP in a VLAN', { tcp: 'A', payload: 'pay', vlan: [4] }],
  ]
  if (family === 'IPv4')
    types.push(['TCP with options', { tcp: 'A', ipOptions: Buffer.alloc(8, 1) }])
  else types.push(['TCP with extensions', { tcp: 'A', extensions: ['hop-by-hop', 'routing'] }])

  describe(`${family} packets that end too early`, () => {
    for (const [name, rest] of types) {
      test(`${name}, of an established flow, is translated exactly, dropped or left alone`, () => {
        const node = datapath({ services: oneBackend(cast) })
        connect(node, cast)
        converse(node, cast)
        const whole = frame({ from: client, to: backend, ...rest })
        const plain =
          rest.vlan === undefined && rest.ipOptions === undefined && rest.extensions === undefined
        for (const bytes of truncations(ask(cast, rest))) {
          const out = node.fromPod(bytes)
          if (plain) assertHarmless(out, bytes, whole, cast)
          else assert.ok(out.verdict === 'drop' || out.frame.length === bytes.length)
        }
      })

      test(`${name}, of no flow, is dropped or left alone and makes no flow`, () => {
        const node = datapath({ services: oneBackend(cast) })
        for (const bytes of truncations(ask(cast, rest))) {
          const out = node.fromPod(bytes)
          assert.ok(out.text === 'drop' || out.text === 'next: untouched', out.text)
        }
        assert.deepEqual(node.tables.lines(), [])
        const { drop_malformed, ...others } = node.counted()
        assert.ok(drop_malformed! > 0)
        assert.deepEqual(others, {})
      })

      test(`${name}, to somebody else, is left alone`, () => {
        const node = datapath({ services: oneBackend(cast) })
        for (const bytes of truncations(ask({ ...cast, vip: cast.stranger }, rest))) {
          assert.equal(node.fromPod(bytes).text, 'next: untouched')
          assert.equal(node.toPod(bytes).text, 'next: untouched')
        }
        assert.deepEqual(node.counted(), {})
      })
    }

    test('fragments are dropped or left alone', () => {
      const spec = { from: client, to: vip, udp: true, payload: Buffer.alloc(64) }
      for (const whole of fragmentsOf(spec, 7, 48)) {
        const node = datapath({ services: oneBackend(cast) })
        for (const bytes of truncations(whole)) {
          const out = node.fromPod(bytes)
          assert.ok(out.text === 'drop' || out.text === 'next: untouched', out.text)
        }
      }
    })

    test('ICMP errors are translated within their length or left alone', () => {
      const node = datapath({ services: oneBackend(cast) })
      const onward = ipOf(node.fromPod(ask(cast, { udp: true, payload: 'hello' })).frame)
      const error = icmpError({
        ...{ from: cast.router, to: host(client), type: 3, code: family === 'IPv4' ? 3 : 0 },
        about: onward,
      })
      const needed = 14 + sizes[family] + 8 + sizes[family] + 4
      for (const bytes of truncations(error)) {
        const out = node.toPod(bytes)
        if (bytes.length < needed) assert.equal(out.text, 'next: untouched')
        assert.equal(out.frame.length, bytes.length)
      }
    })
  })

  describe(`${family} packets whose headers lie`, () => {
    const claims: [string, Partial<PacketSpec>][] = [
      [
        'the IP length ends before the transport header',
        { tcp: 'S', claim: { ipLength: family === 'IPv4' ? 39 : 19 } },
      ],
      ['the IP length ends behind the frame', { tcp: 'S', claim: { ipLength: 100 } }],
      [
        'the IP length ends before the datagram',
        { udp: true, claim: { ipLength: family === 'IPv4' ? 27 : 7 } },
      ],
      ['the TCP header claims four words', { tcp: 'S', claim: { tcpWords: 4 } }],
      ['the TCP header claims more than there is', { tcp: 'S', claim: { tcpWords: 6 } }],
      ['the UDP length is shorter than its header', { udp: true, claim: { udpLength: 7 } }],
      ['the UDP length ends behind the packet', { udp: true, claim: { udpLength: 9 } }],
      ['the IP length is zero', { tcp: 'S', claim: { ipLength: 0 } }],
      ['SYN and FIN', { tcp: 'SF' }],
      ['every flag', { tcp: 'SFRPA' }],
      ['no flag', { tcp: '' }],
    ]
    for (const [name, rest] of claims) {
      test(`${name}: makes no flow and is dropped, when it is for a VIP`, () => {
        const node = datapath({ services: oneBackend(cast) })
        assert.equal(node.fromPod(ask(cast, rest)).text, 'drop')
        assert.deepEqual(node.tables.lines(), [])
      })

      test(`${name}: is never answered`, () => {
        const node = datapath({ services: { [`${vip}/TCP`]: [], [`${vip}/UDP`]: [] } })
        assert.equal(node.fromPod(ask(cast, rest)).text, 'drop')
      })

      test(`${name}: is left alone, when it is for others`, () => {
        const node = datapath({ services: oneBackend(cast) })
        const out = node.fromPod(ask({ ...cast, vip: cast.stranger }, rest))
        assert.equal(out.text, 'next: untouched')
      })
    }

    test('bytes behind the IP packet are no harm: a padded frame is translated', () => {
      const node = datapath({ services: oneBackend(cast) })
      const padding = Buffer.alloc(18)
      const padded = Buffer.concat([ask(cast), padding])
      const wanted = Buffer.concat([frame({ from: client, to: backend, tcp: 'S' }), padding])
      assert.deepEqual(node.fromPod(padded).frame, wanted)
    })
  })
}

describe('IP headers that are none', () => {
  for (const ipWords of [0, 1, 2, 3, 4]) {
    test(`an IPv4 header of ${ipWords} words is left alone`, () => {
      const node = datapath({ services: oneBackend(v4) })
      const bytes = ask(v4, { tcp: 'S', claim: { ipWords } })
      assert.ok(node.fromPod(bytes).frame.equals(bytes))
    })
  }

  test('an IPv4 header longer than the packet is dropped or left alone', () => {
    const node = datapath({ services: oneBackend(v4) })
    const bytes = ask(v4, { tcp: 'S', claim: { ipWords: 15 } })
    assert.equal(node.fromPod(bytes).text, 'drop')
    assert.deepEqual(node.counted(), { drop_malformed: 1 })
  })

  for (const cast of [v4, v6]) {
    test(`an ${cast.family} packet of another version is left alone`, () => {
      const node = datapath({ services: oneBackend(cast) })
      for (const ipVersion of [0, 5, cast.family === 'IPv4' ? 6 : 4, 15]) {
        const bytes = ask(cast, { tcp: 'S', claim: { ipVersion } })
        assert.ok(node.fromPod(bytes).frame.equals(bytes))
      }
      assert.deepEqual(node.counted(), {})
    })
  }

  test('an answer that ends too early is left alone where it belongs to no flow', () => {
    const node = datapath({ services: oneBackend(v4) })
    for (const bytes of truncations(answer(v4, { tcp: 'A' })))
      assert.equal(node.toPod(bytes).text, 'next: untouched')
  })
})
