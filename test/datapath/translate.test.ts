import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { answer, ask, casts, connect, converse, oneBackend, v4, v6 } from './cast.ts'
import { datapath } from './harness.ts'
import { checksumAt, frame, type PacketSpec } from './packet.ts'

for (const cast of casts) {
  const { family, client, vip, backend } = cast

  describe(`${family} translation`, () => {
    test('a SYN to a VIP goes to the backend, port included', () => {
      const node = datapath({ services: oneBackend(cast) })
      assert.equal(node.fromPod(ask(cast)).text, `next: TCP ${client} > ${backend} [S]`)
      assert.deepEqual(node.counted(), { forward: 1, flow_created: 1 })
    })

    test('the answer comes from the VIP', () => {
      const node = datapath({ services: oneBackend(cast) })
      node.fromPod(ask(cast))
      const back = node.toPod(answer(cast, { tcp: 'SA' }))
      assert.equal(back.text, `next: TCP ${vip} > ${client} [SA]`)
      assert.deepEqual(node.counted(), {
        flow_created: 1,
        forward: 1,
        reverse: 1,
      })
    })

    test('datagrams are translated both ways', () => {
      const node = datapath({ services: oneBackend(cast) })
      assert.equal(node.fromPod(ask(cast, { udp: true })).text, `next: UDP ${client} > ${backend}`)
      const back = node.toPod(answer(cast, { udp: true }))
      assert.equal(back.text, `next: UDP ${vip} > ${client}`)
    })

    test('nothing but addresses, ports and checksums changes', () => {
      const node = datapath({ services: oneBackend(cast) })
      connect(node, cast)
      const rest = { tcp: 'AP', seq: 77, ack: 99, payload: 'odd', tos: 0xb8, ttl: 63 }
      const expected = frame({ from: client, to: backend, ...rest })
      assert.deepEqual(node.fromPod(ask(cast, rest)).frame, expected)
      const back = frame({ from: vip, to: client, ...rest })
      assert.deepEqual(node.toPod(answer(cast, rest)).frame, back)
    })

    for (const size of [0, 1, 2, 1400, 3000]) {
      test(`checksums stay right with ${size} bytes of payload`, () => {
        const node = datapath({ services: oneBackend(cast) })
        connect(node, cast)
        const payload = Buffer.from(Array.from({ length: size }, (_, at) => (at * 37) & 0xff))
        const out = node.fromPod(ask(cast, { tcp: 'A', payload }))
        assert.equal(out.text, `next: TCP ${client} > ${backend} [A]`)
      })
    }

    test('a datagram without checksum is sent without checksum', () => {
      const node = datapath({ services: oneBackend(cast) })
      const out = node.fromPod(ask(cast, { udp: true, udpChecksum: 'zero' }))
      assert.equal(out.text, `next: UDP ${client} > ${backend}, no checksum`)
      const back = node.toPod(answer(cast, { udp: true, udpChecksum: 'zero' }))
      assert.equal(back.text, `next: UDP ${vip} > ${client}, no checksum`)
    })

    test('a datagram whose checksum becomes zero is sent with 0xffff', () => {
      const node = datapath({ services: oneBackend(cast) })
      const translated = (payload: Buffer): Buffer =>
        frame({ from: client, to: backend, udp: true, payload })
      const payload = Buffer.alloc(2)
      payload.writeUInt16BE(checksumAt(translated(payload), 'UDP'))
      const out = node.fromPod(ask(cast, { udp: true, payload }))
      assert.equal(checksumAt(out.frame, 'UDP'), 0xffff)
      assert.deepEqual(out.frame, translated(payload))
    })

    test('addresses of equal sums are no trouble: only the port changes the checksum', () => {
      const same = { ...cast, vip: family === 'IPv4' ? '10.96.1.153:80' : '[fd00:245::5]:80' }
      const node = datapath({ services: oneBackend(same) })
      for (const rest of [{ tcp: 'S' }, { udp: true }])
        assert.deepEqual(
          node.fromPod(ask(same, rest)).frame,
          frame({ from: client, to: backend, ...rest }),
        )
    })

    for (const tags of [[5], [5, 6]]) {
      test(`a frame with ${tags.length} VLAN tags is translated`, () => {
        const node = datapath({ services: oneBackend(cast) })
        const out = node.fromPod(ask(cast, { tcp: 'S', vlan: tags }))
        const notes = tags.map((tag) => `, vlan ${tag}`).join('')
        assert.equal(out.text, `next: TCP ${client} > ${backend} [S]${notes}`)
      })
    }

    test('a third VLAN tag is too deep: the frame is left alone', () => {
      const node = datapath({ services: oneBackend(cast) })
      assert.equal(node.fromPod(ask(cast, { tcp: 'S', vlan: [5, 6, 7] })).text, 'next: untouched')
      assert.deepEqual(node.counted(), {})
    })

    test('a segmentation-offload packet is translated at any size and keeps its size', () => {
      const node = datapath({ services: oneBackend(cast) })
      connect(node, cast)
      const out = node.fromPod(ask(cast, { tcp: 'A', payload: Buffer.alloc(3000, 7) }), {
        gsoSegments: 3,
        gsoSize: 1448,
        wireLength: 3200,
      })
      assert.equal(out.text, `next: TCP ${client} > ${backend} [A]`)
    })
  })
}

describe('IPv4 options and IPv6 extension headers', () => {
  test('IP options of any length are skipped', () => {
    for (const words of [1, 5, 10]) {
      const node = datapath({ services: oneBackend(v4) })
      const ipOptions = Buffer.alloc(words * 4, 1)
      const out = node.fromPod(ask(v4, { tcp: 'S', ipOptions }))
      const note = `${words * 4} bytes of options`
      assert.equal(out.text, `next: TCP ${v4.client} > ${v4.backend} [S], ${note}`)
    }
  })

  const chains: PacketSpec['extensions'][] = [
    ['hop-by-hop'],
    ['destination'],
    ['hop-by-hop', 'destination'],
    ['hop-by-hop', 'destination', 'routing', 'destination'],
  ]
  for (const extensions of chains) {
    test(`extension headers are skipped: ${extensions!.join(', ')}`, () => {
      const node = datapath({ services: oneBackend(v6) })
      const out = node.fromPod(ask(v6, { tcp: 'S', extensions: extensions! }))
      assert.match(out.text, /^next: TCP \[fd00:244::2\]:40000 > \[fd00:244:1::5\]:8080 \[S\]/)
      assert.doesNotMatch(out.text, /wrong/)
    })
  }

  test('more than six extension headers are too deep: the packet is left alone', () => {
    const node = datapath({ services: oneBackend(v6) })
    const extensions = Array.from({ length: 7 }, () => 'destination' as const)
    assert.equal(node.fromPod(ask(v6, { tcp: 'S', extensions })).text, 'next: untouched')
  })

  test('a packet that is still to visit another router is left alone', () => {
    const node = datapath({ services: oneBackend(v6) })
    const out = node.fromPod(ask(v6, { tcp: 'S', extensions: ['routing with stops left'] }))
    assert.equal(out.text, 'next: untouched')
  })
})

describe('devices without link-layer header', () => {
  /* A test run takes bytes 12 and 13 for the protocol: these clients' addresses spell it. */
  const clients = [
    { ...v4, client: '8.0.0.2:40000' },
    { ...v6, client: '[fd00:0:86dd::2]:40000' },
  ]
  for (const cast of clients) {
    test(`${cast.family} is translated from the first byte on`, () => {
      const node = datapath({ services: oneBackend(cast), layer3: true })
      const out = node.fromPod(ask(cast, { tcp: 'S', l2: false }))
      assert.equal(out.text, `next: TCP ${cast.client} > ${cast.backend} [S]`)
    })
  }

  test('the answer is translated on its way to such a device', () => {
    const cast = { ...v4, client: '8.0.0.2:40000', backend: '8.0.1.5:8080' }
    const node = datapath({ services: oneBackend(cast), layer3: true })
    node.fromPod(ask(cast, { tcp: 'S', l2: false }))
    const back = node.toPod(answer(cast, { tcp: 'SA', l2: false }))
    assert.equal(back.text, `next: TCP ${cast.vip} > ${cast.client} [SA]`)
  })
})

test('datagrams of an established flow keep their addresses apart', () => {
  const node = datapath({ services: oneBackend(v4) })
  const second = { ...v4, client: '10.244.0.3:40000' }
  converse(node, v4)
  converse(node, second)
  assert.equal(
    node.toPod(answer(second, { udp: true })).text,
    `next: UDP ${v4.vip} > ${second.client}`,
  )
  assert.equal(node.toPod(answer(v4, { udp: true })).text, `next: UDP ${v4.vip} > ${v4.client}`)
})
