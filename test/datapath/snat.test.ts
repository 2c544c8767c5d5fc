import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { host, northSouth, outside4, outside6, passThrough } from './cast.ts'
import type { Node } from './harness.ts'
import { frame, icmpError, ipOf, type PacketSpec } from './packet.ts'

for (const outside of [outside4, outside6]) {
  const { family, client, otherClient, nodePort, loadBalancer, backend, router } = outside
  const asNode = outside.node
  const brackets = (address: string): string => (family === 'IPv6' ? `[${address}]` : address)
  const out = (node: Node, from: string, to: string, rest: Partial<PacketSpec>): string =>
    passThrough(node, frame({ from, to, ...rest }))
  const portOf = (text: string): number => Number(/:(\d+) >/.exec(text)?.[1])
  const connect = (node: Node, from = client, to = nodePort): string => {
    const asSeen = `${asNode}:${portOf(out(node, from, to, { tcp: 'S' }))}`
    out(node, backend, asSeen, { tcp: 'SA' })
    out(node, from, to, { tcp: 'A' })
    node.counted()
    return asSeen
  }

  describe(`${family} clients that share a port`, () => {
    test('are told apart by the node’s port, each way', () => {
      const node = northSouth(outside)
      const one = connect(node, client)
      const two = connect(node, otherClient)
      assert.notEqual(one, two)
      for (const [seen, back] of [
        [one, client],
        [two, otherClient],
      ] as const) {
        assert.equal(out(node, back, nodePort, { tcp: 'A' }), `next: TCP ${seen} > ${backend} [A]`)
        assert.equal(out(node, backend, seen, { tcp: 'A' }), `next: TCP ${nodePort} > ${back} [A]`)
      }
    })

    test('the same client through two VIPs to one backend has two flows', () => {
      const node = northSouth(outside)
      const one = connect(node, client, nodePort)
      const two = connect(node, client, loadBalancer)
      assert.notEqual(one, two)
      assert.equal(out(node, backend, one, { tcp: 'A' }), `next: TCP ${nodePort} > ${client} [A]`)
      assert.equal(
        out(node, backend, two, { tcp: 'A' }),
        `next: TCP ${loadBalancer} > ${client} [A]`,
      )
    })

    test('a pool without a free port drops the new one and leaves the others alone', () => {
      const globals = { snat_port_first: 50000, snat_port_last: 50003 }
      const node = northSouth(outside, { globals })
      const clients = Array.from({ length: 5 }, (_, at) =>
        brackets(family === 'IPv4' ? `192.0.2.${100 + at}` : `2001:db8::${100 + at}`),
      )
      const seen = clients.slice(0, 4).map((name) => connect(node, `${name}:50000`))
      assert.equal(new Set(seen).size, 4)
      assert.equal(out(node, `${clients[4]!}:50000`, nodePort, { tcp: 'S' }), 'drop')
      assert.deepEqual(node.counted(), { drop_snat_exhausted: 1 })
      seen.forEach((name, at) => {
        const back = `next: TCP ${nodePort} > ${clients[at]!}:50000 [A]`
        assert.equal(out(node, backend, name, { tcp: 'A' }), back)
      })
    })

    test('a port that the same client gets again leads to its new connection', () => {
      const globals = { snat_port_first: 50000, snat_port_last: 50000 }
      const node = northSouth(outside, { globals })
      const seen = connect(node)
      out(node, client, nodePort, { tcp: 'FA' })
      out(node, backend, seen, { tcp: 'FA' })
      const again = client.replace(/50000$/, '50001')
      assert.equal(out(node, again, nodePort, { tcp: 'S' }), `next: TCP ${seen} > ${backend} [S]`)
      const back = out(node, backend, seen, { tcp: 'SA' })
      assert.equal(back, `next: TCP ${nodePort} > ${again} [SA]`)
    })

    test('a pool full of half-open flows has a port for the next client', () => {
      const globals = { snat_port_first: 50000, snat_port_last: 50004 }
      const node = northSouth(outside, { globals })
      const lasting = connect(node)
      const flooders = Array.from({ length: 50 }, (_, at) => `${at + 100}`)
      for (const at of flooders) {
        const from = `${brackets(family === 'IPv4' ? `192.0.2.${at}` : `2001:db8::${at}`)}:50000`
        const asSeen = `${asNode}:${portOf(out(node, from, nodePort, { tcp: 'S' }))}`
        out(node, backend, asSeen, { tcp: 'SA' })
      }
      assert.equal(node.counted().drop_snat_exhausted, undefined)
      const seen = connect(node, otherClient)
      assert.equal(
        out(node, otherClient, nodePort, { tcp: 'A' }),
        `next: TCP ${seen} > ${backend} [A]`,
      )
      assert.equal(
        out(node, backend, lasting, { tcp: 'A' }),
        `next: TCP ${nodePort} > ${client} [A]`,
      )
    })

    test('each of many requests through a full table of half-open flows leaves as the node’s', () => {
      const node = northSouth(outside)
      const strays: string[] = []
      for (let at = 0; at < 2_000; at++) {
        const sender = family === 'IPv4' ? `192.0.${at >> 8}.${at & 255}` : `[2001:db8::${at}]`
        const text = out(node, `${sender}:50000`, nodePort, { tcp: 'S' })
        if (!text.startsWith(`next: TCP ${asNode}:`)) strays.push(text)
      }
      assert.deepEqual(strays, [])
    })

    test('a port is free again when its flow is over', () => {
      const globals = { snat_port_first: 50000, snat_port_last: 50000 }
      const node = northSouth(outside, { globals })
      const seen = connect(node)
      assert.equal(out(node, otherClient, nodePort, { tcp: 'S' }), 'drop')
      out(node, client, nodePort, { tcp: 'FA' })
      out(node, backend, seen, { tcp: 'FA' })
      const next = out(node, otherClient, nodePort, { tcp: 'S' })
      assert.equal(next, `next: TCP ${asNode}:50000 > ${backend} [S]`)
    })
  })

  describe(`${family} lost entries of a flow that the node is the client of`, () => {
    const entries = [
      `${client} > ${nodePort}`,
      `${backend} > ${asNode}:50000`,
      `${client} > ${backend}`,
      `${backend} > ${client}`,
    ]
    for (const lost of entries)
      test(`${lost} is made again by the next tick`, () => {
        const node = northSouth(outside)
        connect(node)
        node.tables.forget(lost)
        node.tables.age(1)
        const forward = out(node, client, nodePort, { tcp: 'A' })
        assert.equal(forward, `next: TCP ${asNode}:50000 > ${backend} [A]`)
        const reverse = out(node, backend, `${asNode}:50000`, { tcp: 'A' })
        assert.equal(reverse, `next: TCP ${nodePort} > ${client} [A]`)
      })

    test('an element that became another flow’s is a miss', () => {
      const node = northSouth(outside)
      connect(node)
      for (const lost of entries.slice(1)) {
        const { table, key, flow } = node.tables.entry(lost)
        node.tables.put(table, { ...key, sport: 7 }, flow)
        const { saddr, daddr, dport } = key
        const packet = frame({
          from: `${brackets(saddr)}:7`,
          to: `${brackets(daddr)}:${dport}`,
          tcp: 'A',
        })
        assert.equal(node.fromOutside(packet).text, 'next: untouched')
        assert.equal(node.toOutside(packet).text, 'next: untouched')
      }
    })
  })

  describe(`${family} ICMP errors about flows that the node is the client of`, () => {
    const [type, code, rest] = family === 'IPv4' ? [3, 4, 1300] : [2, 0, 1300]
    const about = (node: Node, from: string, to: string, flags: string): Buffer => {
      const first = node.fromOutside(frame({ from, to, tcp: flags, payload: 'abcdef' }))
      return ipOf(node.toOutside(first.frame).frame)
    }

    test('from the way to the backend tell the client, about the NodePort', () => {
      const node = northSouth(outside)
      connect(node)
      const quoted = about(node, client, nodePort, 'A')
      const error = icmpError({
        from: router,
        to: host(`${asNode}:0`),
        type,
        code,
        rest,
        about: quoted,
      })
      const first = node.fromOutside(error)
      const bare = brackets(host(client))
      assert.equal(
        first.text,
        `next: ICMP ${brackets(router)} > ${bare} ${type}/${code} about (TCP ${client} > ${backend} [A])`,
      )
      assert.equal(
        node.toOutside(first.frame).text,
        `next: ICMP ${brackets(router)} > ${bare} ${type}/${code} about (TCP ${client} > ${nodePort} [A])`,
      )
    })

    test('from the way to the client tell the backend, about its own connection', () => {
      const node = northSouth(outside)
      const seen = connect(node)
      const quoted = about(node, backend, seen, 'A')
      const error = icmpError({ from: router, to: host(nodePort), type, code, rest, about: quoted })
      const first = node.fromOutside(error)
      const second = node.toOutside(first.frame)
      assert.equal(
        second.text,
        `next: ICMP ${brackets(router)} > ${brackets(host(backend))} ${type}/${code} about (TCP ${backend} > ${seen} [A])`,
      )
    })

    test('of the backend itself come from the NodePort', () => {
      const node = northSouth(outside)
      const first = node.fromOutside(frame({ from: client, to: nodePort, udp: true, payload: 'x' }))
      const quoted = ipOf(node.toOutside(first.frame).frame)
      const refused = family === 'IPv4' ? [3, 3] : [1, 4]
      const error = icmpError({
        ...{ from: host(backend), to: host(`${asNode}:0`) },
        ...{ type: refused[0]!, code: refused[1]!, about: quoted },
      })
      assert.equal(
        passThrough(node, error),
        `next: ICMP ${brackets(host(nodePort))} > ${brackets(host(client))} ${refused.join('/')} about (UDP ${client} > ${nodePort})`,
      )
    })
  })

  describe(`${family} the node’s own traffic`, () => {
    const server = family === 'IPv4' ? '192.0.2.53:53' : '[2001:db8::53]:53'

    test('a datagram from a NodePort’s port gets its answer', () => {
      const node = northSouth(outside)
      assert.equal(out(node, server, nodePort, { udp: true }).includes(backend), true)
      node.tables.forgetAll()
      node.counted()
      const question = node.toOutside(frame({ from: nodePort, to: server, udp: true }))
      assert.equal(question.text, 'next: untouched')
      const reply = node.fromOutside(frame({ from: server, to: nodePort, udp: true }))
      assert.equal(reply.text, 'next: untouched')
      assert.deepEqual(node.counted(), { flow_own: 1 })
    })

    test('a connection with the tuple of a client’s goes on from another port', () => {
      const node = northSouth(outside)
      const seen = connect(node)
      const own = node.toOutside(frame({ from: seen, to: backend, tcp: 'S' }))
      const port = portOf(own.text)
      assert.notEqual(`${asNode}:${port}`, seen)
      const back = frame({ from: backend, to: `${asNode}:${port}`, tcp: 'SA' })
      assert.equal(node.fromOutside(back).text, `next: TCP ${backend} > ${seen} [SA]`)
      const more = node.toOutside(frame({ from: seen, to: backend, tcp: 'A' }))
      assert.equal(more.text, `next: TCP ${asNode}:${port} > ${backend} [A]`)
      assert.equal(out(node, backend, seen, { tcp: 'A' }), `next: TCP ${nodePort} > ${client} [A]`)
    })

    test('a second step that was lost is not taken for another connection’s tuple', () => {
      const node = northSouth(outside)
      const first = node.fromOutside(frame({ from: client, to: nodePort, tcp: 'S' }))
      node.tables.forget(`${client} > ${backend}`)
      assert.equal(node.toOutside(first.frame).text, 'next: untouched')
    })

    test('is left alone otherwise', () => {
      const node = northSouth(outside)
      for (const rest of [{ tcp: 'S' }, { tcp: 'A' }, { udp: true }]) {
        const packet = frame({ from: `${asNode}:40000`, to: backend, ...rest })
        assert.equal(node.toOutside(packet).text, 'next: untouched')
        const back = frame({ from: backend, to: `${asNode}:40000`, ...rest })
        assert.equal(node.fromOutside(back).text, 'next: untouched')
      }
      assert.deepEqual(node.counted(), {})
    })
  })
}
