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
import { datapath, type Node } from './harness.ts'
import { frame, icmpError, ipOf } from './packet.ts'

interface Kind {
  readonly name: string
  readonly type: number
  readonly code: number
  readonly rest?: number
}

const kinds: Readonly<Record<Cast['family'], readonly Kind[]>> = {
  IPv4: [
    { name: 'port unreachable', type: 3, code: 3 },
    { name: 'fragmentation needed', type: 3, code: 4, rest: 1300 },
    { name: 'time exceeded', type: 11, code: 0 },
    { name: 'parameter problem', type: 12, code: 0 },
  ],
  IPv6: [
    { name: 'port unreachable', type: 1, code: 4 },
    { name: 'packet too big', type: 2, code: 0, rest: 1300 },
    { name: 'time exceeded', type: 3, code: 0 },
    { name: 'parameter problem', type: 4, code: 0 },
  ],
}

function bare(end: string): string {
  return end.slice(0, end.lastIndexOf(':'))
}

/** A node that has seen a question, and the question as the backend's side sees it. */
function asked(cast: Cast, rest: Parameters<typeof ask>[1]): { node: Node; onward: Buffer } {
  const node = datapath({ services: oneBackend(cast) })
  const onward = ipOf(node.fromPod(ask(cast, rest)).frame)
  node.counted()
  return { node, onward }
}

for (const cast of casts) {
  const { family, client, vip, backend, router } = cast
  const brackets = (address: string): string => (family === 'IPv6' ? `[${address}]` : address)

  describe(`${family} ICMP errors about packets of a client`, () => {
    for (const { name, type, code, rest } of kinds[family]) {
      test(`${name} from the backend comes from the VIP, about the VIP`, () => {
        const { node, onward } = asked(cast, { udp: true, payload: 'hello' })
        const error = icmpError({
          ...{ from: host(backend), to: host(client), type, code, about: onward },
          ...(rest === undefined ? {} : { rest }),
        })
        const out = node.toPod(error)
        const ends = `${bare(vip)} > ${bare(client)} ${type}/${code}`
        assert.equal(out.text, `next: ICMP ${ends} about (UDP ${client} > ${vip})`)
        assert.equal(out.frame.readUInt32BE(14 + (family === 'IPv4' ? 20 : 40) + 4), rest ?? 0)
        assert.deepEqual(node.counted(), { icmp_translated: 1 })
      })
    }

    test('from a router keep the router’s address', () => {
      const { node, onward } = asked(cast, { tcp: 'S' })
      const { type, code } = kinds[family][2]!
      const error = icmpError({ from: router, to: host(client), type, code, about: onward })
      assert.equal(
        node.toPod(error).text,
        `next: ICMP ${brackets(router)} > ${bare(client)} ${type}/${code} about (TCP ${client} > ${vip} [S])`,
      )
    })

    test('restore the quoted packet byte for byte', () => {
      for (const rest of [
        { udp: true, payload: 'abcde' },
        { tcp: 'S', payload: 'abcde' },
      ]) {
        const { node, onward } = asked(cast, rest)
        const { type, code } = kinds[family][0]!
        const out = node.toPod(
          icmpError({ from: router, to: host(client), type, code, about: onward }),
        )
        const quote = out.frame.subarray(14 + (family === 'IPv4' ? 20 : 40) + 8)
        assert.deepEqual(quote, ipOf(ask(cast, rest)))
      }
    })

    test('quoting a datagram without checksum leave it without', () => {
      const { node, onward } = asked(cast, { udp: true, udpChecksum: 'zero' })
      const { type, code } = kinds[family][0]!
      const out = node.toPod(
        icmpError({ from: router, to: host(client), type, code, about: onward }),
      )
      const quote = out.frame.subarray(14 + (family === 'IPv4' ? 20 : 40) + 8)
      assert.deepEqual(quote, ipOf(ask(cast, { udp: true, udpChecksum: 'zero' })))
    })

    test('quoting just enough for the ports are translated, with right checksums', () => {
      const { node, onward } = asked(cast, { tcp: 'S' })
      const { type, code } = kinds[family][0]!
      const header = family === 'IPv4' ? 20 : 40
      for (const quoted of [header + 4, header + 7, header + 8, header + 17, header + 18]) {
        const error = icmpError({
          from: router,
          to: host(client),
          type,
          code,
          about: onward,
          quoted,
        })
        const { text } = node.toPod(error)
        assert.ok(text.includes(`about (TCP ${client} > ${vip}`), text)
        assert.ok(!text.includes('wrong'), text)
      }
    })

    test('quoting less than the ports are left alone', () => {
      const { node, onward } = asked(cast, { tcp: 'S' })
      const { type, code } = kinds[family][0]!
      for (let quoted = 0; quoted < (family === 'IPv4' ? 24 : 44); quoted++) {
        const error = icmpError({
          from: router,
          to: host(client),
          type,
          code,
          about: onward,
          quoted,
        })
        assert.equal(node.toPod(error).text, 'next: untouched')
      }
      assert.deepEqual(node.counted(), {})
    })

    test('of an established flow are translated', () => {
      const node = datapath({ services: oneBackend(cast) })
      connect(node, cast)
      const onward = ipOf(node.fromPod(ask(cast, { tcp: 'A', payload: 'data' })).frame)
      const { type, code } = kinds[family][1]!
      const error = icmpError({ from: router, to: host(client), type, code, about: onward })
      assert.match(node.toPod(error).text, /^next: ICMP .* about \(TCP .*:40000 > .*:80 \[A\]\)$/)
    })

    test('in a VLAN are translated', () => {
      const { node, onward } = asked(cast, { udp: true })
      const { type, code } = kinds[family][0]!
      const plain = icmpError({ from: router, to: host(client), type, code, about: onward })
      const tag = Buffer.from([0x81, 0, 0, 9])
      const tagged = Buffer.concat([plain.subarray(0, 12), tag, plain.subarray(12)])
      assert.equal(
        node.toPod(tagged).text,
        `next: ICMP ${brackets(router)} > ${bare(client)} ${type}/${code} about (UDP ${client} > ${vip}), vlan 9`,
      )
    })
  })

  describe(`${family} ICMP errors of a client about its answers`, () => {
    for (const { name, type, code } of kinds[family]) {
      test(`${name} reaches the backend, about what the backend sent`, () => {
        const node = datapath({ services: oneBackend(cast) })
        converse(node, cast)
        const back = node.toPod(answer(cast, { udp: true, payload: 'hello' }))
        node.counted()
        const error = icmpError({
          ...{ from: host(client), to: host(vip), type, code },
          about: ipOf(back.frame),
        })
        assert.equal(
          node.fromPod(error).text,
          `next: ICMP ${bare(client)} > ${bare(backend)} ${type}/${code} about (UDP ${backend} > ${client})`,
        )
        assert.deepEqual(node.counted(), { icmp_translated: 1 })
      })
    }
  })

  describe(`${family} ICMP that is not ours`, () => {
    const { type, code } = kinds[family][0]!
    const foreign = ipOf(frame({ from: client, to: cast.stranger, udp: true }))

    test('an error about a packet without flow is left alone', () => {
      const { node } = asked(cast, { udp: true })
      const error = icmpError({ from: router, to: host(client), type, code, about: foreign })
      assert.equal(node.toPod(error).text, 'next: untouched')
      assert.equal(node.fromPod(error).text, 'next: untouched')
    })

    test('an error at the wrong hook is left alone', () => {
      const { node, onward } = asked(cast, { udp: true })
      const error = icmpError({ from: router, to: host(client), type, code, about: onward })
      assert.equal(node.fromPod(error).text, 'next: untouched')
    })

    test('an error whose quote has a forged port or protocol is left alone', () => {
      const { node, onward } = asked(cast, { udp: true })
      const header = family === 'IPv4' ? 20 : 40
      for (const at of [header, header + 1, header + 2, family === 'IPv4' ? 9 : 6]) {
        const about = Buffer.from(onward)
        about[at]! ^= 1
        const error = icmpError({ from: router, to: host(client), type, code, about })
        assert.equal(node.toPod(error).text, 'next: untouched')
      }
    })

    test('echo requests and answers are left alone, to a VIP as well', () => {
      const node = datapath({ services: oneBackend(cast) })
      const about = Buffer.alloc(32, 1)
      for (const echo of family === 'IPv4' ? [8, 0] : [128, 129]) {
        const ping = icmpError({ from: host(client), to: host(vip), type: echo, code: 0, about })
        assert.equal(node.fromPod(ping).text, 'next: untouched')
        assert.equal(node.toPod(ping).text, 'next: untouched')
      }
      assert.deepEqual(node.counted(), {})
    })

    test('an error about an error is left alone', () => {
      const { node, onward } = asked(cast, { udp: true })
      const inner = icmpError({ from: router, to: host(client), type, code, about: onward })
      const outer = icmpError({ from: router, to: host(client), type, code, about: ipOf(inner) })
      assert.equal(node.toPod(outer).text, 'next: untouched')
    })
  })
}

describe('quotes with more than the plain headers', () => {
  test('IPv4 options in the quote are skipped', () => {
    const ipOptions = Buffer.alloc(8, 1)
    const { node, onward } = asked(v4, { udp: true, ipOptions })
    const error = icmpError({
      from: v4.router,
      to: host(v4.client),
      type: 3,
      code: 3,
      about: onward,
    })
    const out = node.toPod(error)
    assert.deepEqual(out.frame.subarray(14 + 28), ipOf(ask(v4, { udp: true, ipOptions })))
  })

  test('IPv4 options before the error itself are skipped', () => {
    const { node, onward } = asked(v4, { udp: true })
    const plain = icmpError({
      from: v4.router,
      to: host(v4.client),
      type: 3,
      code: 3,
      about: onward,
    })
    const options = frame({
      from: '10.244.0.1:0',
      to: '10.244.0.2:0',
      ipOptions: Buffer.alloc(4, 1),
      rest: plain.subarray(34),
      claim: { protocol: 1 },
    })
    assert.match(
      node.toPod(options).text,
      /^next: ICMP 10\.244\.0\.1 > 10\.244\.0\.2 3\/3 about \(UDP 10\.244\.0\.2:40000 > 10\.96\.0\.10:80\), 4 bytes of options$/,
    )
  })

  test('an IPv6 quote of a first fragment is translated', () => {
    const fragment = { id: 9, offset: 0, more: true }
    const { node, onward } = asked(v6, { udp: true, fragment, payload: Buffer.alloc(16) })
    const error = icmpError({
      from: v6.router,
      to: host(v6.client),
      type: 3,
      code: 0,
      about: onward,
    })
    const out = node.toPod(error)
    const quote = out.frame.subarray(14 + 48)
    assert.deepEqual(quote, ipOf(ask(v6, { udp: true, fragment, payload: Buffer.alloc(16) })))
  })

  test('a quote of a later fragment is left alone', () => {
    for (const cast of casts) {
      const { node, onward } = asked(cast, { udp: true })
      const rest = {
        fragment: { id: 9, offset: 8, more: false },
        rest: onward.subarray(cast.family === 'IPv4' ? 20 : 40),
      }
      const about = ipOf(frame({ from: cast.client, to: cast.backend, udp: true, ...rest }))
      const error = icmpError({ from: cast.router, to: host(cast.client), type: 3, code: 0, about })
      assert.equal(node.toPod(error).text, 'next: untouched')
    }
  })
})
