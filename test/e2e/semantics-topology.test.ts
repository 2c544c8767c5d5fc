import { test } from 'node:test'
import { nodeObject } from '../cluster/objects.ts'
import { rejected, slicesWith, untilOutcome, type Entry } from './semantics-outcome.ts'
import { families, serviceFor, servingForAll } from './serving.ts'

/*
 * Node 1 is in zone-1 and node 2 in zone-2 to begin with; the client is a of node 1.
 * No agent is started again in this file: what changes, changes under it.
 */
const zoneLabel = 'topology.kubernetes.io/zone'
const serving = servingForAll({ profile: 'bridge' }, {}, (cluster) => [
  nodeObject(cluster.nodes[1]!, { [zoneLabel]: 'zone-2' }),
  ...serviceFor(cluster, 1, []),
])
const both = ['node1/b', 'node2/b']
const leaving = { ready: false, serving: true, terminating: true }

type Hints = Omit<Entry, 'pod'>

/** What endpoints b of both nodes say, and which of them a client on node 1 gets. */
const rows: readonly (readonly [what: string, Hints, Hints, readonly string[]])[] = [
  ['hints for a zone each', { zones: ['zone-1'] }, { zones: ['zone-2'] }, ['node1/b']],
  ['a zone on the other node', { zones: ['zone-2'] }, { zones: ['zone-1'] }, ['node2/b']],
  ['hints for both zones', { zones: ['zone-1', 'zone-2'] }, { zones: ['zone-1'] }, both],
  ['one endpoint without a hint', { zones: ['zone-1'] }, {}, both],
  ['hints for other zones only', { zones: ['zone-8'] }, { zones: ['zone-9'] }, both],
  [
    'one in the zone that leaves',
    { zones: ['zone-1'], conditions: leaving },
    { zones: ['zone-2'] },
    ['node2/b'],
  ],
  [
    'hints for nodes before those for zones',
    { zones: ['zone-2'], nodes: ['node1'] },
    { zones: ['zone-1'], nodes: ['node2'] },
    ['node1/b'],
  ],
  [
    'hints for other nodes, so those for zones',
    { zones: ['zone-2'], nodes: ['node7'] },
    { zones: ['zone-1'], nodes: ['node8'] },
    ['node2/b'],
  ],
  ['a node hint on one endpoint only', { nodes: ['node1'] }, {}, both],
]

/** Writes the hints of b on node 1 and on node 2. */
function hint(first: Hints, second: Hints): void {
  const { cluster, pod } = serving
  const entries = [
    { pod: pod(1, 'b'), ...first },
    { pod: pod(2, 'b'), ...second },
  ]
  cluster.objects.put(...slicesWith(1, entries))
}

async function untilReached(expected: readonly string[]): Promise<void> {
  const client = serving.pod(1, 'a')
  await Promise.all(
    families.map((family) => untilOutcome(client, serving.vip(1, family), expected)),
  )
}

for (const [what, first, second, expected] of rows)
  test(`${what}: ${expected.join(' and ')}`, async () => {
    serving.cluster.objects.put(...slicesWith(1, []))
    await untilReached([rejected])
    hint(first, second)
    await untilReached(expected)
  })

test('a node that changes its zone is served by the new one within 2 s', async () => {
  const { cluster, node1 } = serving
  hint({ zones: ['zone-1'] }, { zones: ['zone-2'] })
  await untilReached(['node1/b'])
  for (const [zone, expected] of [
    ['zone-2', ['node2/b']],
    ['zone-3', both],
    ['', both],
    ['zone-1', ['node1/b']],
  ] as const) {
    cluster.objects.put(nodeObject(node1, { [zoneLabel]: zone }))
    await untilReached(expected)
  }
  const { kind, metadata, ...rest } = nodeObject(node1)
  cluster.objects.put({ kind, metadata: { name: metadata.name }, ...rest })
  await untilReached(both)
})
