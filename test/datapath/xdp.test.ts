import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { flowFlag } from '../../src/datapath/abi.ts'
import { testRun } from '../../src/datapath/native-run.ts'
import { outside4, outside6, passThrough, tcp, udp } from './cast.ts'
import { frame, type PacketSpec } from './packet.ts'
import { hop, knowHop, wired, type Wired } from './wired.ts'

for (const outside of [outside4, outside6]) {
  const { family, client, nodePort, loadBalancer, backend } = outside
  const asClient = `${outside.node}:50000`
  const send = (from: string, to: string, rest: Partial<PacketSpec>): Buffer =>
    frame({ from, to, ...rest })
  const [forward, reverse] = [`${client} > ${nodePort}`, `${backend} > ${asClient}`]

  /** Opened by tc, and XDP knows the next hop of both halves. */
  const established = (options: Parameters<typeof wired>[1] = {}): Wired => {
    const both = wired(outside, options)
    passThrough(both.node, send(client, nodePort, { tcp: 'S' }))
    passThrough(both.node, send(backend, asClient, { tcp: 'SA' }))
    passThrough(both.node, send(client, nodePort, { tcp: 'A' }))
    knowHop(both.node, [forward, reverse])
    both.node.counted()
    return both
  }
  describe(`${family} XDP on an uplink`, () => {
    test('sends established packets on in one step, each way', () => {
      const { node, xdp } = established()
      const out = xdp(send(client, nodePort, { tcp: 'A', payload: 'abc', ttl: 17 }))
      assert.equal(out, `send: TCP ${asClient} > ${backend} [A], ttl 16`)
      const back = xdp(send(backend, asClient, { tcp: 'A', payload: 'defg' }))
      assert.equal(back, `send: TCP ${nodePort} > ${client} [A], ttl 63`)
      assert.deepEqual(node.counted(), { xdp_forward: 1, xdp_reverse: 1 })
    })

    test('gives the frame the next hop’s address and one hop less', () => {
      const { node, programFd } = established()
      const packet = send(client, nodePort, { tcp: 'A', ttl: 17 })
      const { data } = testRun({ programFd, data: packet })
      assert.deepEqual([...data.subarray(0, 6)], hop)
      assert.deepEqual(data.subarray(6, 12), packet.subarray(0, 6))
      assert.equal(data[family === 'IPv4' ? 14 + 8 : 14 + 7], 16)
      assert.deepEqual(node.counted(), { xdp_forward: 1 })
    })

    test('datagrams without a checksum stay without', () => {
      const { node, xdp } = wired(outside)
      passThrough(node, send(client, nodePort, { udp: true }))
      passThrough(node, send(backend, asClient, { udp: true }))
      knowHop(node, [forward, reverse])
      for (const udpChecksum of [undefined, 'zero'] as const) {
        if (family === 'IPv6' && udpChecksum) continue
        const rest = { udp: true, payload: 'odd', ...(udpChecksum && { udpChecksum }) }
        const noted = udpChecksum ? ', no checksum' : ''
        const out = xdp(send(client, nodePort, rest))
        assert.ok(out.startsWith(`send: UDP ${asClient} > ${backend}`), out + noted)
        assert.doesNotMatch(out, /wrong/)
      }
    })

    test('leaves to tc what is odd, last-hop, or for a frame’s other station', () => {
      const { node, xdp } = established({ mac: Buffer.from([2, 0, 0, 0, 0, 99]) })
      assert.equal(xdp(send(client, nodePort, { tcp: 'A' })), 'pass: untouched')
      const { xdp: open } = established()
      for (const rest of [
        { tcp: 'A', ttl: 1 },
        { tcp: 'A', vlan: [7] },
        { tcp: 'A', fragment: { id: 1, offset: 0, more: true } },
        family === 'IPv4'
          ? { tcp: 'A', ipOptions: Buffer.alloc(4, 1) }
          : { tcp: 'A', extensions: ['destination' as const] },
      ])
        assert.equal(open(send(client, nodePort, rest)), 'pass: untouched')
      assert.deepEqual(node.counted(), {})
    })

    test('does not look at the outside of tunnels', () => {
      const { node, xdp } = wired(outside)
      node.publish(udp(loadBalancer), [])
      node.network([80], [])
      const packet = send(client, loadBalancer, { udp: true })
      assert.equal(xdp(packet), 'pass: untouched')
      assert.deepEqual(node.counted(), {})
    })

    test('a flow that it cannot send on is tc’s, and tc makes both steps', () => {
      const { node, xdp } = wired(outside)
      const syn = send(client, nodePort, { tcp: 'S' })
      assert.equal(xdp(syn), 'pass: untouched')
      assert.equal(passThrough(node, syn), `next: TCP ${asClient} > ${backend} [S]`)
      assert.equal(node.counted().flow_snat, 1)
    })

    test('tc goes on with a flow that XDP served until now', () => {
      const { node, xdp } = established()
      for (const tuple of [`${client} > ${backend}`, `${backend} > ${client}`])
        node.tables.forget(tuple)
      xdp(send(client, nodePort, { tcp: 'A' }))
      const out = passThrough(node, send(client, nodePort, { tcp: 'A', vlan: [7] }))
      assert.equal(out, `next: TCP ${asClient} > ${backend} [A], vlan 7`)
    })

    test('rejects what nobody serves, as tc does', () => {
      const { node, xdp } = wired(outside)
      node.publish(tcp(loadBalancer), [])
      node.publish(udp(loadBalancer), [])
      const unused = loadBalancer.replace(/80$/, '81')
      for (const to of [loadBalancer, unused]) {
        const syn = send(client, to, { tcp: 'S', payload: to === unused ? 'with data' : '' })
        const byTc = node.fromOutside(syn)
        assert.equal(xdp(syn), byTc.text.replace('redirect', 'send'))
        const datagram = send(client, to, { udp: true, payload: 'x'.repeat(200) })
        const refused = node.fromOutside(datagram)
        assert.equal(xdp(datagram), refused.text.replace('redirect', 'send'))
        assert.match(refused.text, /ICMP/)
      }
      assert.deepEqual(node.counted(), { reject_no_endpoint: 4, reject_unused_port: 4 })
    })

    test('tells backends on this node from others', () => {
      const { node, xdp } = wired(outside, { local: 1 })
      assert.equal(xdp(send(client, nodePort, { tcp: 'S' })), 'pass: untouched')
      assert.deepEqual(node.tables.lines(), [])
    })

    test('drops clients outside the ranges, and those a Local policy has nobody for', () => {
      const { node, xdp } = wired(outside)
      node.publish(tcp(loadBalancer), { backends: [backend], externalLocalOnly: true })
      assert.equal(xdp(send(client, loadBalancer, { tcp: 'S' })), 'drop')
      node.publish(tcp(loadBalancer), { backends: [backend], sourceRanges: [] })
      assert.equal(xdp(send(client, loadBalancer, { tcp: 'S' })), 'drop')
      assert.deepEqual(node.counted(), { drop_no_local_endpoint: 1, drop_source_range: 1 })
    })

    test('sees the end of a connection, so that its tuple can be used again', () => {
      const { node, xdp } = established()
      xdp(send(client, nodePort, { tcp: 'FA' }))
      xdp(send(backend, asClient, { tcp: 'FA' }))
      const flags = flowFlag.FLOW_FIN_FORWARD | flowFlag.FLOW_FIN_REVERSE
      assert.equal(node.tables.entry(forward).flow.flags & flags, flags)
      assert.equal(xdp(send(client, nodePort, { tcp: 'S' })), 'pass: untouched')
    })
  })
}
