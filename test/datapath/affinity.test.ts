import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { affinity } from '../../src/datapath/abi.ts'
import { datapath, type FrontendText, type Node, type ServiceOptions } from './harness.ts'
import { frame } from './packet.ts'

const backendsOf = (count: number, first = 0): string[] =>
  Array.from({ length: count }, (_, at) => `10.245.0.${first + at + 1}:9000`)

const families = [
  { name: 'IPv4', client: '10.244.0.2', other: '10.244.0.3', vip: '10.96.0.10:80' },
  { name: 'IPv6', client: '[fd00::2]', other: '[fd00::3]', vip: '[fd00:96::10]:80' },
]

/** The backend of a new flow. */
function choice(node: Node, from: string, to: string, udp = false): string {
  const { text } = node.fromPod(frame({ from, to, ...(udp ? { udp } : { tcp: 'S' }) }))
  return / > (\S+)/.exec(text)?.[1] ?? text
}

/** The backends of many new flows of a client, each from another port. */
function choices(node: Node, client: string, to: string, first = 20000): Set<string> {
  return new Set(Array.from({ length: 40 }, (_, at) => choice(node, `${client}:${first + at}`, to)))
}

/** Lets every affinity be so many seconds older. */
function age(node: Node, seconds: number): void {
  const map = node.programs.map('affinity')
  for (const key of [...map.keys()]) {
    const value = affinity.parse(map.get(key)!)
    const bytes = Buffer.alloc(affinity.size)
    affinity.format(bytes, { ...value, last_used: value.last_used - BigInt(seconds) * 10n ** 9n })
    map.set(key, bytes)
  }
}

for (const { name, client, other, vip } of families) {
  const frontend: FrontendText = `${vip}/TCP`
  const backends = name === 'IPv4' ? backendsOf(7) : backendsOf(7).map(toV6)
  const serve = (options: Partial<ServiceOptions> = {}): Node =>
    datapath({ services: { [frontend]: { backends, affinitySeconds: 60, ...options } } })

  describe(`session affinity of ${name} clients`, () => {
    test('keeps all flows of a client on one backend', () => {
      assert.equal(choices(serve(), client, vip).size, 1)
    })

    test('without it, the same flows spread', () => {
      assert.ok(choices(serve({ affinitySeconds: 0 }), client, vip).size > 3)
    })

    test('does not tie other clients', () => {
      const node = serve()
      const tied = Array.from({ length: 40 }, (_, at) => {
        const address = client.replace(/2(\]?)$/, `${at + 10}$1`)
        return choice(node, `${address}:40000`, vip)
      })
      assert.ok(new Set(tied).size > 3)
    })

    test('is over when the client was away for longer than the time', () => {
      const node = serve()
      choices(node, client, vip)
      const seen = new Set<string>()
      for (let round = 0; round < 40; round++) {
        age(node, 61)
        seen.add(choice(node, `${client}:${21000 + round}`, vip))
      }
      assert.ok(seen.size > 3)
    })

    test('is renewed by each new flow', () => {
      const node = serve()
      const first = choice(node, `${client}:20000`, vip)
      for (let round = 0; round < 10; round++) {
        age(node, 40)
        assert.equal(choice(node, `${client}:${21000 + round}`, vip), first)
      }
    })

    test('survives a change of the set that moves the backend to another slot', () => {
      const node = serve()
      const first = choice(node, `${client}:20000`, vip)
      node.publish(frontend, { backends: [...backends].reverse(), affinitySeconds: 60 })
      assert.deepEqual([...choices(node, client, vip, 30000)], [first])
    })

    test('moves to another backend when its own has left, and does not come back with it', () => {
      const node = serve()
      const first = choice(node, `${client}:20000`, vip)
      const rest = backends.filter((end) => end !== first)
      node.publish(frontend, { backends: rest, affinitySeconds: 60 })
      const [second, ...more] = choices(node, client, vip, 30000)
      assert.notEqual(second, first)
      assert.deepEqual(more, [])
      node.publish(frontend, { backends, affinitySeconds: 60 })
      assert.deepEqual([...choices(node, client, vip, 31000)], [second])
    })

    test('never leads out of a local-only set', () => {
      const node = serve()
      choices(node, client, vip)
      const options = { backends, local: 2, localOnly: true, affinitySeconds: 60 }
      node.publish(frontend, options)
      const [chosen] = choices(node, client, vip, 30000)
      assert.ok(backends.slice(0, 2).includes(chosen!))
    })

    test('is of one frontend: another Service with the same client is free', () => {
      const second: FrontendText = `${vip.replace(/:80$/, ':81')}/TCP`
      const node = serve()
      node.publish(second, { backends, affinitySeconds: 60 })
      const [one] = choices(node, client, vip)
      const pairs = Array.from({ length: 20 }, (_, at) => {
        const address = other.replace(/3(\]?)$/, `${at + 10}$1`)
        const mine = choice(node, `${address}:40000`, vip)
        return mine === choice(node, `${address}:40000`, second.replace('/TCP', ''))
      })
      assert.ok(one !== undefined && pairs.includes(false))
    })

    test('holds for UDP', () => {
      const text: FrontendText = `${vip}/UDP`
      const node = datapath({ services: { [text]: { backends, affinitySeconds: 60 } } })
      const seen = Array.from({ length: 40 }, (_, at) =>
        choice(node, `${client}:${20000 + at}`, vip, true),
      )
      assert.equal(new Set(seen).size, 1)
    })
  })
}

function toV6(end: string): string {
  const [, last, port] = /\.(\d+):(\d+)$/.exec(end)!
  return `[fd00:245::${last!}]:${port!}`
}
