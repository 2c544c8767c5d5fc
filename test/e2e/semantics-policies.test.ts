import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pingPong } from '../cluster/traffic.ts'
import { dropped, rejected, slicesWith, untilOutcome, type Entry } from './semantics-outcome.ts'
import { families, serviceFor, servingForAll } from './serving.ts'

/* Clients are on node 1; endpoints are b and c of both nodes. */
const local = { internalTrafficPolicy: 'Local' }
const serving = servingForAll({ profile: 'ptp', podsPerNode: 3 }, {}, (cluster) => [
  ...serviceFor(cluster, 1, []),
  ...serviceFor(cluster, 2, [], local),
  ...serviceFor(
    cluster,
    3,
    cluster.nodes.map((node) => node.pod('b')),
    {},
  ),
  ...serviceFor(
    cluster,
    4,
    cluster.nodes.map((node) => node.pod('b')),
    {},
  ),
])

const conditions = {
  ready: { ready: true, serving: true, terminating: false },
  leaving: { ready: false, serving: true, terminating: true },
  kept: { ready: true, serving: true, terminating: true },
  dead: { ready: false, serving: false, terminating: true },
  unready: { ready: false, serving: false, terminating: false },
  unserving: { ready: false, serving: true, terminating: false },
}
type State = keyof typeof conditions
type Row = readonly [policy: 'Cluster' | 'Local', Readonly<Record<string, State>>, expected: string]

const rows: readonly Row[] = [
  ['Cluster', { '1b': 'ready', '1c': 'leaving', '2b': 'ready', '2c': 'dead' }, '1b 2b'],
  ['Cluster', { '1b': 'leaving', '1c': 'leaving', '2b': 'ready' }, '2b'],
  ['Cluster', { '1b': 'leaving', '1c': 'dead', '2b': 'leaving', '2c': 'unready' }, '1b 2b'],
  ['Cluster', { '2b': 'leaving' }, '2b'],
  ['Cluster', { '1b': 'kept', '2b': 'leaving' }, '1b'],
  ['Cluster', { '1b': 'dead', '2b': 'dead' }, rejected],
  ['Cluster', { '1b': 'unready', '2b': 'unserving' }, rejected],
  ['Local', { '1b': 'ready', '1c': 'leaving', '2b': 'ready' }, '1b'],
  ['Local', { '1b': 'leaving', '1c': 'dead', '2b': 'ready' }, '1b'],
  ['Local', { '1b': 'dead', '2b': 'ready' }, dropped],
  ['Local', { '2b': 'ready', '2c': 'ready' }, dropped],
  ['Local', { '2b': 'leaving' }, dropped],
  ['Local', { '1b': 'dead', '2b': 'unready' }, rejected],
  ['Local', {}, rejected],
]

/** "1b" is pod b of node 1. */
function entriesOf(states: Readonly<Record<string, State>>): Entry[] {
  return Object.entries(states).map(([at, state]) => ({
    pod: serving.pod(at.startsWith('1') ? 1 : 2, at.slice(1)),
    conditions: conditions[state],
  }))
}

function namesOf(short: string): string {
  return short.replaceAll(/\b([12])([bc])\b/g, 'node$1/$2')
}

/** Brings the Service to where no row ends like this, so that no row passes by doing nothing. */
async function untilOtherThan(expected: string, n: number): Promise<void> {
  const isRejected = expected === rejected
  serving.cluster.objects.put(...slicesWith(n, entriesOf(isRejected ? { '1c': 'ready' } : {})))
  const target = serving.vip(n, 'IPv6')
  await untilOutcome(serving.pod(1, 'a'), target, isRejected ? namesOf('1c') : rejected)
}

for (const [policy, states, expected] of rows) {
  const what = Object.entries(states).map(([at, state]) => `${at} ${state}`)
  test(`policy ${policy}, ${what.join(', ') || 'no endpoint'}: ${expected}`, async () => {
    const n = policy === 'Local' ? 2 : 1
    await untilOtherThan(expected, n)
    serving.cluster.objects.put(...slicesWith(n, entriesOf(states)))
    await Promise.all(
      families.map((family) =>
        untilOutcome(serving.pod(1, 'a'), serving.vip(n, family), namesOf(expected)),
      ),
    )
  })
}

test('a policy changed under established flows is for new connections only', async () => {
  const { cluster, pod, vip } = serving
  const client = pod(1, 'a')
  await untilOutcome(client, vip(3), namesOf('1b 2b'))
  const flows = await pingPong(client, vip(3), 8, { intervalMs: 20 })
  const [localPod, remotePod] = [pod(1, 'b'), pod(2, 'b')]
  for (let round = 0; round < 2; round++) {
    cluster.objects.put(...serviceFor(cluster, 3, [localPod, remotePod], local))
    await untilOutcome(client, vip(3), namesOf('1b'))
    await untilOutcome(pod(2, 'a'), vip(3), namesOf('2b'))
    cluster.objects.put(...serviceFor(cluster, 3, [remotePod], local))
    await untilOutcome(client, vip(3), dropped)
    cluster.objects.put(...serviceFor(cluster, 3, [localPod, remotePod]))
    await untilOutcome(client, vip(3), namesOf('1b 2b'))
  }
  const { open, resets, closed, switched, timeouts, backends } = await flows.stop()
  assert.deepEqual(
    { open, resets, closed, switched, timeouts },
    { open: 8, resets: 0, closed: 0, switched: 0, timeouts: 0 },
  )
  assert.ok((backends['node2/b'] ?? 0) > 0, 'no flow was with the other node')
})

test('an endpoint that is terminating keeps its flows, and gets new ones when revived', async () => {
  const { cluster, pod, vip } = serving
  const client = pod(1, 'a')
  cluster.objects.put(...slicesWith(4, entriesOf({ '2b': 'ready' })))
  await untilOutcome(client, vip(4), namesOf('2b'))
  const flows = await pingPong(client, vip(4), 4, { intervalMs: 20 })
  cluster.objects.put(...slicesWith(4, entriesOf({ '1b': 'ready', '2b': 'leaving' })))
  await untilOutcome(client, vip(4), namesOf('1b'))
  cluster.objects.put(...slicesWith(4, entriesOf({ '1b': 'dead', '2b': 'leaving' })))
  await untilOutcome(client, vip(4), namesOf('2b'))
  cluster.objects.put(...slicesWith(4, entriesOf({ '1b': 'ready', '2b': 'ready' })))
  await untilOutcome(client, vip(4), namesOf('1b 2b'))
  const { open, resets, closed, backends } = await flows.stop()
  assert.deepEqual({ open, resets, closed }, { open: 4, resets: 0, closed: 0 })
  assert.deepEqual(backends, { 'node2/b': 4 })
})
