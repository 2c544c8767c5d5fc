import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { casts, tcp, udp, type Cast } from './cast.ts'
import { datapath, type Node } from './harness.ts'
import { frame, type PacketSpec } from './packet.ts'

/** What the outside calls the node, and who talks to it. */
interface Outside {
  readonly client: string
  readonly nodePort: string
  /** What the node is called by backends on other nodes. */
  readonly node: string
}

const outsides: Readonly<Record<Cast['family'], Outside>> = {
  IPv4: { client: '192.0.2.9:50000', nodePort: '172.18.0.2:30080', node: '172.18.0.2' },
  IPv6: { client: '[2001:db8::9]:50000', nodePort: '[fd00:18::2]:30080', node: '[fd00:18::2]' },
}

for (const cast of casts) {
  const { client, nodePort, node: name } = outsides[cast.family]
  const { backend } = cast
  const make = (local: number): Node => {
    const service = { backends: [backend], local, ownsAddress: false }
    const node = datapath({ services: { [tcp(nodePort)]: service, [udp(nodePort)]: service } })
    const bare = name.replace(/[[\]]/g, '')
    node.uplink(0, cast.family === 'IPv4' ? { addr4: bare } : { addr6: bare })
    return node
  }
  const from = (source: string, to: string, rest: Partial<PacketSpec>): Buffer =>
    frame({ from: source, to, ...rest })

  describe(`${cast.family} from outside to a backend on this node`, () => {
    test('keeps the client’s address, and the answer leaves as the NodePort’s', () => {
      const node = make(1)
      const request = node.fromOutside(from(client, nodePort, { tcp: 'S' }))
      assert.equal(request.text, `next: TCP ${client} > ${backend} [S]`)
      assert.equal(node.fromPod(from(backend, client, { tcp: 'SA' })).text, 'next: untouched')
      const reply = node.toOutside(from(backend, client, { tcp: 'SA' }))
      assert.equal(reply.text, `next: TCP ${nodePort} > ${client} [SA]`)
    })
  })

  describe(`${cast.family} from outside to a backend on another node`, () => {
    const asNode = `${name}:50000`

    test('goes out as the node’s own, in two steps around the host stack', () => {
      const node = make(0)
      const first = node.fromOutside(from(client, nodePort, { tcp: 'S' }))
      assert.equal(first.text, `next: TCP ${client} > ${backend} [S]`)
      const second = node.toOutside(first.frame)
      assert.equal(second.text, `next: TCP ${asNode} > ${backend} [S]`)
      const back = node.fromOutside(from(backend, asNode, { tcp: 'SA' }))
      assert.equal(back.text, `next: TCP ${backend} > ${client} [SA]`)
      const reply = node.toOutside(back.frame)
      assert.equal(reply.text, `next: TCP ${nodePort} > ${client} [SA]`)
    })

    test('datagrams go the same way', () => {
      const node = make(0)
      const first = node.fromOutside(from(client, nodePort, { udp: true }))
      const second = node.toOutside(first.frame)
      assert.equal(second.text, `next: UDP ${asNode} > ${backend}`)
      const back = node.fromOutside(from(backend, asNode, { udp: true }))
      assert.equal(node.toOutside(back.frame).text, `next: UDP ${nodePort} > ${client}`)
    })
  })
}
