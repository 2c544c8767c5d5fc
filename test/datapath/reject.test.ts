import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ask, casts, tcp, udp, v4, v6, type Cast } from './cast.ts'
import { datapath, type Node } from './harness.ts'
import { frame, icmpError, ipOf } from './packet.ts'
import { host } from './cast.ts'

const macs = {
  there: Buffer.from('020000000001020000000002', 'hex'),
  back: Buffer.from('020000000002020000000001', 'hex'),
}

function empty({ vip }: Cast, globals = {}): Node {
  return datapath({ services: { [tcp(vip)]: [], [udp(vip)]: [] }, globals })
}

/** What the client should get back, MAC addresses included. */
function reply(bytes: Buffer): Buffer {
  return Buffer.concat([macs.back, bytes.subarray(12)])
}

/** RFC 9293, section 3.10.7.1: a reset carries no identification, window or options. */
function resetFor(
  { client, vip }: Cast,
  rest: { tcp: string; seq?: number; ack?: number },
): Buffer {
  const bytes = frame({ from: vip, to: client, ...rest, seq: rest.seq ?? 0, window: 0, id: 0 })
  return reply(bytes)
}

for (const cast of casts) {
  const { family, client, vip } = cast

  describe(`${family} clients of a Service without endpoints`, () => {
    test('a SYN is answered with a reset that acknowledges it', () => {
      const node = empty(cast)
      const out = node.fromPod(ask(cast, { tcp: 'S', seq: 1000 }))
      assert.equal(out.verdict, 'redirect')
      assert.deepEqual(out.frame, resetFor(cast, { tcp: 'RA', ack: 1001 }))
      assert.deepEqual(node.counted(), { reject_no_endpoint: 1 })
    })

    test('a SYN with data is acknowledged with its data', () => {
      const out = empty(cast).fromPod(ask(cast, { tcp: 'S', seq: 0xffffffff, payload: 'early' }))
      assert.deepEqual(out.frame, resetFor(cast, { tcp: 'RA', ack: 5 }))
    })

    test('a SYN with TCP options is acknowledged without counting them', () => {
      const syn = ask(cast, {
        tcp: 'S',
        seq: 7,
        payload: Buffer.alloc(8, 1),
        claim: { tcpWords: 7 },
      })
      assert.deepEqual(empty(cast).fromPod(syn).frame, resetFor(cast, { tcp: 'RA', ack: 8 }))
    })

    test('a segment that acknowledges is answered at that number', () => {
      const out = empty(cast).fromPod(ask(cast, { tcp: 'A', seq: 7, ack: 0x80000001 }))
      assert.deepEqual(out.frame, resetFor(cast, { tcp: 'R', seq: 0x80000001 }))
    })

    test('a reset is never answered', () => {
      const node = empty(cast)
      assert.equal(node.fromPod(ask(cast, { tcp: 'R' })).text, 'drop')
      assert.equal(node.fromPod(ask(cast, { tcp: 'RA' })).text, 'drop')
    })

    for (const payload of ['', 'a long question that is not quoted in full']) {
      test(`a datagram of ${payload.length} bytes is answered with port unreachable`, () => {
        const node = empty(cast)
        const asked = ask(cast, { udp: true, payload })
        const out = node.fromPod(asked)
        const quoted = family === 'IPv4' ? 28 : 48
        const expected = icmpError({
          from: host(vip),
          to: host(client),
          type: family === 'IPv4' ? 3 : 1,
          code: family === 'IPv4' ? 3 : 4,
          about: ipOf(asked),
          quoted,
          id: 0,
        })
        assert.equal(out.verdict, 'redirect')
        assert.deepEqual(out.frame, reply(expected))
        assert.deepEqual(node.counted(), { reject_no_endpoint: 1 })
      })
    }

    test('rejects keep the VLAN tag', () => {
      const out = empty(cast).fromPod(ask(cast, { tcp: 'S', vlan: [7] }))
      assert.equal(out.text, `redirect: TCP ${vip} > ${client} [RA], vlan 7`)
    })

    test('a rejected segmentation-offload packet becomes a plain reset', () => {
      const payload = Buffer.alloc(3000)
      const out = empty(cast).fromPod(ask(cast, { tcp: 'A', ack: 9, payload }), {
        gsoSegments: 3,
        gsoSize: 1448,
        wireLength: 3200,
      })
      assert.deepEqual(out.frame, resetFor(cast, { tcp: 'R', seq: 9 }))
    })

    test('no flow is made for them', () => {
      const node = empty(cast)
      node.fromPod(ask(cast))
      node.fromPod(ask(cast, { udp: true }))
      assert.deepEqual(node.tables.lines(), [])
    })

    test('the rejects are counted at the frontend', () => {
      const node = empty(cast)
      node.fromPod(ask(cast))
      node.fromPod(ask(cast))
      assert.deepEqual(node.statsOf(tcp(vip)), { flows: 0, rejects: 2 })
      assert.deepEqual(node.statsOf(udp(vip)), { flows: 0, rejects: 0 })
    })
  })

  describe(`${family} clients of a port that a VIP does not offer`, () => {
    const unused = { ...cast, vip: vip.replace(/80$/, '81') }

    test('get a reset for TCP and port unreachable for UDP', () => {
      const node = datapath({ services: { [tcp(vip)]: [cast.backend] } })
      assert.equal(node.fromPod(ask(unused)).text, `redirect: TCP ${unused.vip} > ${client} [RA]`)
      assert.match(node.fromPod(ask(unused, { udp: true })).text, /^redirect: ICMP .* about \(UDP /)
      assert.match(node.fromPod(ask(cast, { udp: true })).text, /^redirect: ICMP .* about \(UDP /)
      assert.deepEqual(node.counted(), { reject_unused_port: 3 })
    })

    test('are left alone where the address belongs to the node', () => {
      const options = { backends: [cast.backend], ownsAddress: false }
      const node = datapath({ services: { [tcp(vip)]: options } })
      assert.equal(node.fromPod(ask(unused)).text, 'next: untouched')
      assert.equal(node.fromPod(ask(cast, { udp: true })).text, 'next: untouched')
      assert.deepEqual(node.counted(), {})
    })
  })
}

describe('the limit on rejects', () => {
  const other = { ...v4, client: '10.244.0.3:40000' }

  test('lets a burst through and then drops', () => {
    const node = empty(v4, { reject_burst: 3, reject_rate: 1 })
    const verdicts = Array.from({ length: 5 }, () => node.fromPod(ask(v4)).verdict)
    assert.deepEqual(verdicts, ['redirect', 'redirect', 'redirect', 'drop', 'drop'])
    assert.deepEqual(node.counted(), { reject_no_endpoint: 3, drop_reject_limited: 2 })
  })

  test('counts each client address for itself, whatever its ports', () => {
    const node = empty(v4, { reject_burst: 1, reject_rate: 1 })
    node.fromPod(ask(v4))
    assert.equal(node.fromPod(ask({ ...v4, client: '10.244.0.2:40001' })).verdict, 'drop')
    assert.equal(node.fromPod(ask(other)).verdict, 'redirect')
  })

  test('is refilled with time, up to the burst', () => {
    const node = empty(v4, { reject_burst: 3, reject_rate: 1 })
    const send = (times: number): number =>
      Array.from({ length: times }, () => node.fromPod(ask(v4)).verdict).filter(
        (verdict) => verdict === 'redirect',
      ).length
    assert.equal(send(5), 3)
    node.tables.ageRejects(2)
    assert.equal(send(5), 2)
    node.tables.ageRejects(1000)
    assert.equal(send(5), 3)
  })

  test('is not lifted by a clock that another CPU read later', () => {
    const node = empty(v4, { reject_burst: 1, reject_rate: 1 })
    node.fromPod(ask(v4))
    node.tables.ageRejects(-5)
    assert.equal(node.fromPod(ask(v4)).verdict, 'drop')
  })
})

describe('what cannot be answered in place', () => {
  test('a packet with IP options is dropped and counted', () => {
    const node = empty(v4)
    assert.equal(node.fromPod(ask(v4, { tcp: 'S', ipOptions: Buffer.alloc(4, 1) })).text, 'drop')
    assert.deepEqual(node.counted(), { drop_reject_failed: 1 })
  })

  test('a packet with extension headers is dropped and counted', () => {
    const node = empty(v6)
    assert.equal(node.fromPod(ask(v6, { udp: true, extensions: ['destination'] })).text, 'drop')
    assert.deepEqual(node.counted(), { drop_reject_failed: 1 })
  })
})
