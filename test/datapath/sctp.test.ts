import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { datapath, type FrontendText, type Node } from './harness.ts'
import { frame } from './packet.ts'
import { crc32c, sctpFrame, type Chunk } from './sctp.ts'

const families = [
  { name: 'IPv4', client: '10.244.0.2:40000', vip: '10.96.0.10:80', backend: '10.244.1.5:9000' },
  { name: 'IPv6', client: '[fd00::2]:40000', vip: '[fd00:96::10]:80', backend: '[fd00:1::5]:9000' },
]

test('crc32c of these tests is the standard one', () => {
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283)
})

for (const { name, client, vip, backend } of families) {
  const frontend: FrontendText = `${vip}/SCTP`
  const serve = (backends: readonly string[] = [backend]): Node =>
    datapath({ services: { [frontend]: backends } })
  const ask = (node: Node, chunk: Chunk, bytes?: number): string =>
    node.fromPod(sctpFrame({ from: client, to: vip }, chunk, bytes)).text
  const answer = (node: Node, chunk: Chunk, bytes?: number): string =>
    node.toPod(sctpFrame({ from: backend, to: client }, chunk, bytes)).text
  const associate = (node: Node): void => {
    ask(node, 'INIT')
    answer(node, 'INIT ACK')
  }

  describe(`SCTP over ${name}`, () => {
    test('an association is translated there and back, checksum right', () => {
      const node = serve()
      assert.equal(ask(node, 'INIT'), `next: SCTP ${client} > ${backend} [INIT]`)
      assert.equal(answer(node, 'INIT ACK'), `next: SCTP ${vip} > ${client} [INIT ACK]`)
      assert.equal(ask(node, 'COOKIE ECHO'), `next: SCTP ${client} > ${backend} [COOKIE ECHO]`)
      assert.equal(answer(node, 'SACK'), `next: SCTP ${vip} > ${client} [SACK]`)
    })

    test('the checksum is right for packets of any length', () => {
      const node = serve()
      associate(node)
      for (const bytes of [0, 1, 3, 4, 15, 100, 255, 256, 1001, 1400]) {
        assert.equal(ask(node, 'DATA', bytes), `next: SCTP ${client} > ${backend} [DATA]`)
        assert.equal(answer(node, 'DATA', bytes), `next: SCTP ${vip} > ${client} [DATA]`)
      }
    })

    test('with the port unchanged the checksum is left as it is, for it covers no addresses', () => {
      const same = backend.replace(/:9000$/, ':80')
      const node = serve([same])
      const before = sctpFrame({ from: client, to: vip }, 'INIT')
      const outcome = node.fromPod(before)
      assert.equal(outcome.text, `next: SCTP ${client} > ${same} [INIT]`)
      assert.deepEqual(outcome.frame.subarray(-24, -20), before.subarray(-24, -20))
    })

    test('it lives through the end of its backend in the API, as a connection does', () => {
      const node = serve()
      associate(node)
      node.kill(frontend, backend)
      assert.equal(ask(node, 'DATA'), `next: SCTP ${client} > ${backend} [DATA]`)
    })

    test('after SHUTDOWN of both sides the same port begins anew', () => {
      const node = serve()
      associate(node)
      ask(node, 'SHUTDOWN')
      answer(node, 'SHUTDOWN ACK')
      const other = backend.replace('5', '6')
      node.publish(frontend, [other])
      assert.equal(ask(node, 'INIT'), `next: SCTP ${client} > ${other} [INIT]`)
    })

    test('a packet from the middle of an unknown association is left to the host at first', () => {
      const node = serve()
      node.grace(60)
      assert.equal(ask(node, 'DATA'), 'next: untouched')
      assert.equal(node.counted()['midflow_passed'], 1)
    })

    test('without an endpoint the client is told by ICMP', () => {
      assert.match(ask(serve([]), 'INIT'), /^redirect: ICMP .* about \(SCTP /)
    })

    test('another protocol at the same port is another frontend', () => {
      const { text } = serve().fromPod(frame({ from: client, to: vip, tcp: 'S' }))
      assert.match(text, /^redirect: TCP .* \[RA\]/)
    })

    test('a packet shorter than its header is no packet of ours', () => {
      const whole = sctpFrame({ from: client, to: vip }, 'INIT', 0)
      const node = serve()
      for (let cut = 1; cut < 16; cut++) {
        const { verdict } = node.fromPod(whole.subarray(0, whole.length - cut))
        assert.notEqual(verdict, 'redirect')
      }
    })

    test('VLAN tags are no obstacle', () => {
      const { text } = serve().fromPod(sctpFrame({ from: client, to: vip, vlan: [7] }, 'INIT'))
      assert.equal(text, `next: SCTP ${client} > ${backend} [INIT], vlan 7`)
    })
  })
}
