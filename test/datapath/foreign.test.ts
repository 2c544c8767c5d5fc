import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ask, casts, connect, converse, host, oneBackend, v4 } from './cast.ts'
import { datapath } from './harness.ts'
import { fragmentsOf, frame, icmpError, type PacketSpec } from './packet.ts'

/** Traffic that has nothing to do with a Service, in every shape we know. */
function foreignFrames(from: string, to: string): Buffer[] {
  const isV6 = to.startsWith('[')
  const specs: Partial<PacketSpec>[] = [
    ...['S', 'SA', 'A', 'AP', 'FA', 'R', 'RA', ''].map((flags) => ({ tcp: flags })),
    { udp: true, payload: 'x' },
    { udp: true, udpChecksum: 'zero' },
    { tcp: 'A', vlan: [3] },
    { tcp: 'A', vlan: [3, 4] },
    { tcp: 'A', payload: Buffer.alloc(3000) },
    ...[47, 50, 51, 132, 2, 89].map((protocol) => ({ udp: true, claim: { protocol } })),
    ...(isV6
      ? [{ tcp: 'A', extensions: ['hop-by-hop', 'routing'] as const }]
      : [{ tcp: 'A', ipOptions: Buffer.alloc(12, 1) }]),
  ]
  return [
    ...specs.map((rest) => frame({ from, to, ...rest })),
    ...fragmentsOf({ from, to, udp: true, payload: Buffer.alloc(90) }, 3, 48),
    icmpError({
      ...{ from: host(from), to: host(to), type: isV6 ? 128 : 8, code: 0 },
      about: Buffer.alloc(16),
    }),
  ]
}

const otherEthernet: [string, string][] = [
  ['ARP', '0806'],
  ['LLDP', '88cc'],
  ['MPLS', '8847'],
  ['PPPoE', '8864'],
  ['EAPOL', '888e'],
]

for (const cast of casts) {
  describe(`${cast.family} traffic that is not a Service’s`, () => {
    test('passes both hooks byte for byte and is not counted', () => {
      const node = datapath({ services: oneBackend(cast) })
      for (const bytes of [
        ...foreignFrames(cast.client, cast.stranger),
        ...foreignFrames(cast.stranger, cast.client),
      ]) {
        assert.equal(node.fromPod(bytes).text, 'next: untouched')
        assert.equal(node.toPod(bytes).text, 'next: untouched')
      }
      assert.deepEqual(node.counted(), {})
      assert.deepEqual(node.tables.lines(), [])
    })

    test('passes beside living flows of the same client and the same backend', () => {
      const node = datapath({ services: oneBackend(cast) })
      connect(node, cast)
      converse(node, cast)
      const lines = node.tables.lines()
      const otherPort = cast.client.replace(/40000$/, '40001')
      for (const bytes of [
        ...foreignFrames(otherPort, cast.backend),
        ...foreignFrames(cast.client, cast.stranger),
      ]) {
        assert.equal(node.fromPod(bytes).text, 'next: untouched')
        assert.equal(node.toPod(bytes).text, 'next: untouched')
      }
      for (const bytes of foreignFrames(cast.backend, otherPort))
        assert.equal(node.toPod(bytes).text, 'next: untouched')
      assert.deepEqual(node.counted(), {})
      assert.deepEqual(node.tables.lines(), lines)
    })

    test('is never translated at egress towards a VIP', () => {
      const node = datapath({ services: oneBackend(cast) })
      for (const rest of [{ tcp: 'S' }, { tcp: 'A' }, { udp: true }])
        assert.equal(node.toPod(ask(cast, rest)).text, 'next: untouched')
      assert.deepEqual(node.counted(), {})
    })

    test('of a protocol we do not translate is left alone even to a VIP', () => {
      const node = datapath({ services: oneBackend(cast) })
      for (const protocol of [47, 50, 33]) {
        const bytes = ask(cast, { udp: true, claim: { protocol } })
        assert.ok(node.fromPod(bytes).frame.equals(bytes))
      }
      assert.deepEqual(node.counted(), {})
    })
  })
}

describe('frames that are not IP', () => {
  for (const [name, type] of otherEthernet) {
    test(`${name} passes`, () => {
      const node = datapath({ services: oneBackend(v4) })
      const bytes = Buffer.concat([ask(v4).subarray(0, 12), Buffer.from(type, 'hex'), ask(v4)])
      assert.ok(node.fromPod(bytes).frame.equals(bytes))
      assert.ok(node.toPod(bytes).frame.equals(bytes))
      assert.deepEqual(node.counted(), {})
    })
  }
})
