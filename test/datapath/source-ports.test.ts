import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { after, describe, test } from 'node:test'
import { northSouth, outside4, outside6, passThrough } from './cast.ts'
import type { Node } from './harness.ts'
import { frame } from './packet.ts'

/* Sockets of the network that test runs are in: this process' own. */
const holders: (() => void)[] = []
after(() => {
  for (const release of holders) release()
})

/** Has a process hold a socket: a listener at a port, or a UDP socket between two ends. */
async function hold(statement: string): Promise<void> {
  const script = `import socket, sys
def free(family, kind):
    s = socket.socket(family, kind)
    for level, name in ((socket.IPPROTO_IP, 15), (socket.IPPROTO_IPV6, 78)):
        try: s.setsockopt(level, name, 1)
        except OSError: pass
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return s
${statement}
print('held', flush=True)
sys.stdin.read()`
  const child = spawn('python3', ['-c', script], { stdio: ['pipe', 'pipe', 'inherit'] })
  holders.push(() => child.kill())
  await once(child.stdout, 'data')
}

for (const outside of [outside4, outside6]) {
  const { family, nodePort, backend, node: asNode } = outside
  const socketFamily = family === 'IPv4' ? 'socket.AF_INET' : 'socket.AF_INET6'
  const bare = asNode.replace(/[[\]]/g, '')
  const base = family === 'IPv4' ? 28_100 : 28_200
  const from = (port: number): string => outside.client.replace(/50000$/, String(port))
  const portOf = (text: string): number => Number(/:(\d+) >/.exec(text)?.[1])
  const start = (first: number, last: number): Node =>
    northSouth(outside, { globals: { snat_port_first: first, snat_port_last: last } })

  describe(`${family} source ports of the node`, () => {
    test('that a process listens at are not a client’s, own or searched', async () => {
      await hold(`s = free(${socketFamily}, socket.SOCK_STREAM)
s.bind(('${bare}', ${base})); s.listen(1)`)
      const own = start(base, base + 3)
      const ask = frame({ from: from(base), to: nodePort, tcp: 'S' })
      assert.notEqual(portOf(passThrough(own, ask)), base)
      const only = start(base, base)
      assert.equal(passThrough(only, ask), 'drop')
      assert.deepEqual(only.counted(), { drop_snat_exhausted: 1 })
    })

    test('that a UDP socket has towards the backend are not a client’s', async () => {
      const port = base + 10
      const [host, to] = [
        backend.replace(/:\d+$/, '').replace(/[[\]]/g, ''),
        backend.split(':').at(-1),
      ]
      await hold(`s = free(${socketFamily}, socket.SOCK_DGRAM)
s.bind(('${bare}', ${port}))
try: s.connect(('${host}', ${to}))
except OSError: pass`)
      const node = start(port, port + 3)
      const out = passThrough(node, frame({ from: from(port), to: nodePort, udp: true }))
      assert.ok(portOf(out) > port && portOf(out) <= port + 3, out)
    })

    test('are never those that NodePorts are taken from', () => {
      const globals = { node_port_first: 40_001, node_port_last: 40_003 }
      const node = northSouth(outside, {
        globals: { ...globals, snat_port_first: 40_000, snat_port_last: 40_004 },
      })
      const outs = Array.from({ length: 6 }, (_, at) =>
        passThrough(node, frame({ from: from(40_000 + at), to: nodePort, udp: true })),
      )
      const served = outs.filter((text) => text !== 'drop').map(portOf)
      assert.ok(
        served.every((port) => port === 40_000 || port === 40_004),
        outs.join('\n'),
      )
      assert.equal(new Set(served).size, 2)
    })
  })
}
