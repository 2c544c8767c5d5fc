import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { host, northSouth, outside4, outside6, passThrough, tcp } from './cast.ts'
import { datapath } from './harness.ts'
import { frame, type PacketSpec } from './packet.ts'

for (const outside of [outside4, outside6]) {
  const { family, client, nodePort, loadBalancer, backend, node: asNode } = outside
  const open = (to: string, rest: Partial<PacketSpec> = { tcp: 'S' }): Buffer =>
    frame({ from: client, to, ...rest })
  const answer = (to: string, rest: Partial<PacketSpec>): Buffer =>
    frame({ from: backend, to, ...rest })

  describe(`${family} from outside to a backend on this node`, () => {
    test('keeps the client’s address, and the answer leaves as the NodePort’s', () => {
      const node = northSouth(outside, { local: 1 })
      const request = node.fromOutside(open(nodePort))
      assert.equal(request.text, `next: TCP ${client} > ${backend} [S]`)
      assert.equal(node.toPod(request.frame).text, 'next: untouched')
      assert.equal(node.fromPod(answer(client, { tcp: 'SA' })).text, 'next: untouched')
      const reply = node.toOutside(answer(client, { tcp: 'SA' }))
      assert.equal(reply.text, `next: TCP ${nodePort} > ${client} [SA]`)
      node.fromOutside(open(nodePort, { tcp: 'A' }))
      assert.deepEqual(
        node.tables.lines(),
        [
          `flows: TCP ${client} > ${nodePort} = ${client} > ${backend} [replied]`,
          `flows: TCP ${backend} > ${client} = ${nodePort} > ${client} [reverse egress replied]`,
        ].sort(),
      )
    })
  })

  describe(`${family} from outside to a backend on another node`, () => {
    const asClient = `${asNode}:50000`

    for (const to of [nodePort, loadBalancer])
      test(`${to}: leaves as the node’s own, in two steps around the host stack`, () => {
        const node = northSouth(outside)
        const first = node.fromOutside(open(to))
        assert.equal(first.text, `next: TCP ${client} > ${backend} [S]`)
        const second = node.toOutside(first.frame)
        assert.equal(second.text, `next: TCP ${asClient} > ${backend} [S]`)
        const back = node.fromOutside(answer(asClient, { tcp: 'SA' }))
        assert.equal(back.text, `next: TCP ${backend} > ${client} [SA]`)
        assert.equal(node.toOutside(back.frame).text, `next: TCP ${to} > ${client} [SA]`)
        passThrough(node, open(to, { tcp: 'A' }))
        assert.deepEqual(node.counted(), {
          ...{ forward: 2, reverse: 1 },
          ...{ flow_created: 1, flow_snat: 1, flow_promoted: 1 },
        })
      })

    test('datagrams go the same way', () => {
      const node = northSouth(outside)
      assert.equal(
        passThrough(node, open(nodePort, { udp: true, payload: 'ask' })),
        `next: UDP ${asClient} > ${backend}`,
      )
      assert.equal(
        passThrough(node, answer(asClient, { udp: true, payload: 'answer' })),
        `next: UDP ${nodePort} > ${client}`,
      )
    })

    test('later packets are promoted flows’, both steps of them', () => {
      const node = northSouth(outside)
      passThrough(node, open(nodePort))
      passThrough(node, answer(asClient, { tcp: 'SA' }))
      assert.equal(
        passThrough(node, open(nodePort, { tcp: 'A' })),
        `next: TCP ${asClient} > ${backend} [A]`,
      )
      const established = node.tables.entries().filter(({ table }) => table === 'flows')
      assert.equal(established.length, 4, node.tables.lines().join('\n'))
    })

    test('a client port that NodePorts are taken from is not used towards the backend', () => {
      const node = northSouth(outside)
      const from = `${client.slice(0, client.lastIndexOf(':'))}:30100`
      const out = passThrough(node, frame({ from, to: nodePort, tcp: 'S' }))
      const port = Number(/:(\d+) >/.exec(out)?.[1])
      assert.ok((port >= 1024 && port < 30000) || port > 32767, out)
      const back = frame({ from: backend, to: `${asNode}:${port}`, tcp: 'SA' })
      assert.equal(passThrough(node, back), `next: TCP ${nodePort} > ${from} [SA]`)
    })

    test('a node without an address for it drops the client’s packet, counted', () => {
      const services = { [tcp(nodePort)]: { backends: [backend], ownsAddress: false } }
      const node = datapath({ services, uplinks: true })
      assert.equal(node.fromOutside(open(nodePort)).text, 'drop')
      assert.deepEqual(node.counted(), { drop_snat_no_address: 1 })
    })
  })

  describe(`${family} what outside clients may use`, () => {
    const near = host(client)

    test('a frontend with source ranges drops others, and counts it', () => {
      const bits = family === 'IPv4' ? 96 + 24 : 64
      const ranges: [string, number][] = [[near, bits]]
      const node = northSouth(outside, {
        services: { [tcp(loadBalancer)]: { backends: [backend], local: 1, sourceRanges: ranges } },
      })
      assert.equal(
        node.fromOutside(open(loadBalancer)).text,
        `next: TCP ${client} > ${backend} [S]`,
      )
      node.counted()
      const stranger = family === 'IPv4' ? '192.0.3.9:50000' : '[2001:db9::9]:50000'
      for (const flags of ['S', 'A'])
        assert.equal(
          node.fromOutside(frame({ from: stranger, to: loadBalancer, tcp: flags })).text,
          'drop',
        )
      assert.deepEqual(node.counted(), { drop_source_range: 2 })
    })

    test('a frontend with no range at all lets nobody in', () => {
      const services = { [tcp(loadBalancer)]: { backends: [backend], sourceRanges: [] } }
      const node = northSouth(outside, { services })
      assert.equal(node.fromOutside(open(loadBalancer)).text, 'drop')
      assert.deepEqual(node.counted(), { drop_source_range: 1 })
    })

    test('a Local policy without a backend here drops, without one anywhere rejects', () => {
      const node = northSouth(outside, {
        services: { [tcp(loadBalancer)]: { backends: [backend], externalLocalOnly: true } },
      })
      assert.equal(node.fromOutside(open(loadBalancer)).text, 'drop')
      assert.deepEqual(node.counted(), { drop_no_local_endpoint: 1 })
      node.publish(tcp(loadBalancer), { backends: [], externalLocalOnly: true })
      const out = node.fromOutside(open(loadBalancer))
      assert.equal(out.text, `redirect: TCP ${loadBalancer} > ${client} [RA]`)
    })

    test('unused ports of a VIP are rejected, those of a node address are the node’s', () => {
      const node = northSouth(outside)
      const unused = loadBalancer.replace(/80$/, '81')
      const out = node.fromOutside(open(unused))
      assert.equal(out.text, `redirect: TCP ${unused} > ${client} [RA]`)
      assert.equal(node.fromOutside(open(`${asNode}:22`)).text, 'next: untouched')
      assert.equal(node.fromOutside(open(nodePort, { tcp: 'A' })).text, 'next: untouched')
    })

    test('a cluster IP that nobody has is dropped, not sent round in circles', () => {
      const node = northSouth(outside)
      node.network(
        [],
        [
          ['10.96.0.0', 'ffff:ffff:ffff:ffff:ffff:ffff:fff0:0'],
          ['fd00:96::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:0'],
        ],
      )
      const free = family === 'IPv4' ? '10.111.2.3:80' : '[fd00:96::7]:80'
      for (const rest of [{ tcp: 'S' }, { tcp: 'A' }, { udp: true }]) {
        assert.equal(node.fromOutside(open(free, rest)).text, 'drop')
        assert.equal(node.fromPod(frame({ from: outside.client, to: free, ...rest })).text, 'drop')
      }
      assert.deepEqual(node.counted(), { drop_unallocated_vip: 6 })
      assert.equal(node.fromOutside(open(`${asNode}:22`)).text, 'next: untouched')
    })

    test('an address in a service range that an interface of the node has is left to it', () => {
      const node = northSouth(outside)
      const whole = 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'
      const [own, range]: [string, string] =
        family === 'IPv4' ? ['10.111.2.3', '10.96.0.0'] : ['fd00:96::7', 'fd00:96::']
      const mask = `ffff:ffff:ffff:ffff:ffff:ffff:${family === 'IPv4' ? 'fff0' : 'ffff'}:0`
      node.network([], [[own, whole], [range, mask]], 1) // prettier-ignore
      const at = (address: string): string =>
        family === 'IPv4' ? `${address}:53` : `[${address}]:53`
      assert.equal(node.fromOutside(open(at(own), { udp: true })).text, 'next: untouched')
      assert.equal(node.fromPod(frame({ from: outside.client, to: at(own), udp: true })).text, 'next: untouched') // prettier-ignore
      const other = own.replace(/.$/, '9')
      assert.equal(node.fromOutside(open(at(other), { udp: true })).text, 'drop')
    })

    test('the outside of tunnels is not looked at', () => {
      const node = northSouth(outside)
      node.network([30080], [])
      assert.equal(node.fromOutside(open(nodePort, { udp: true })).text, 'next: untouched')
    })
  })
}
