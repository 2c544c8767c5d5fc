import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { measureLatency, type LatencyOptions } from '../cluster/traffic.ts'
import type { ClusterOptions } from '../cluster/types.ts'
import {
  families,
  profiles,
  serviceFor,
  startServing,
  untilServed,
  type Serving,
} from './serving.ts'

const variants: readonly ClusterOptions[] = [
  ...profiles.map((profile) => ({ profile })),
  { profile: 'bridge', checksumOffload: 'off' },
]

/* Service 1 is served on the client's node, 2 on the other one. */
for (const variant of variants)
  describe(`large transfers: ${JSON.stringify(variant)}`, () => {
    let serving: Serving
    before(async () => {
      serving = await startServing(variant, {}, (cluster) => [
        ...serviceFor(cluster, 1, [cluster.nodes[0]!.pod('b')]),
        ...serviceFor(cluster, 2, [cluster.nodes[1]!.pod('a')]),
      ])
      for (const family of families) await untilServed(serving.pod(1, 'a'), serving.vip(2, family))
    })
    after(() => serving.cluster.close())

    test('a megabyte arrives through a VIP', () =>
      completes(serving, { ask: 'send 1000000', count: 2 }))

    test('sixty kilobytes reach the backend through a VIP', () =>
      completes(serving, { size: 60_000, count: 20 }))

    test('answers in datagrams of 8 kB arrive, in fragments', () =>
      completes(serving, { udp: true, ask: 'send 8000', count: 10 }))

    test('datagrams of 8 kB reach the backend, in fragments', () =>
      completes(serving, { udp: true, size: 8_000, count: 10 }))

    test('transfers find a way through a hop of 1300 bytes between the nodes', async () => {
      const inner = variant.profile === 'vxlan' ? ['flannel.1', 'flannel-v6.1'] : ['eth0']
      for (const node of [serving.node1, serving.node2])
        for (const device of inner) await node.exec(['ip', 'link', 'set', device, 'mtu', '1300'])
      await completes(serving, { size: 60_000, count: 10 })
      await completes(serving, { ask: 'send 1000000', count: 2 })
      /* Routers do not fragment IPv6: the sender's first datagram only tells it the size. */
      await askFourWays(serving, { udp: true, ask: 'send 8000', count: 1 })
      await completes(serving, { udp: true, ask: 'send 8000', count: 10 })
    })
  })

/** Asks near and far, over both families; every byte has to come. */
async function completes(serving: Serving, options: Options): Promise<void> {
  const least = options.count * Number(/^send (\d+)$/.exec(options.ask ?? '')?.[1] ?? 1)
  for (const { target, errors, bytes, latencyUs } of await askFourWays(serving, options)) {
    assert.deepEqual({ target, errors }, { target, errors: 0 })
    assert.ok(bytes >= least, `${target}: ${bytes} bytes`)
    assert.ok(latencyUs.max < 3_000_000, `${target}: ${latencyUs.max} us`)
  }
}

type Options = Pick<LatencyOptions, 'udp' | 'ask' | 'size'> & { readonly count: number }

function askFourWays({ pod, vip }: Serving, options: Options): ReturnType<typeof measureLatency> {
  const targets = families.flatMap((family): [string, string][] => [
    [`${family} near`, vip(1, family)],
    [`${family} far`, vip(2, family)],
  ])
  const common = { mode: 'crr', warmup: 0 } as const
  return measureLatency(pod(1, 'a'), Object.fromEntries(targets), { ...common, ...options })
}
