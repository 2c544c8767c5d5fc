import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dial, pingPong } from '../cluster/traffic.ts'
import type { FlowReport } from '../cluster/traffic-reports.ts'
import { readMetric } from './metrics-page.ts'
import { eventually, families, serviceFor, servingForAll, untilServed } from './serving.ts'

/* `--midflow-grace 0s`: a lost flow is ours to mend at once, no former proxy may know better. */
const flags = ['--flow-table-entries=1024', '--midflow-grace=0s']
const serving = servingForAll({ profile: 'ptp', podsPerNode: 2 }, { flags }, (cluster) =>
  serviceFor(cluster, 1, [cluster.nodes[0]!.pod('b'), cluster.nodes[1]!.pod('a')]),
)

test('five thousand short flows through a table of 1 024 entries harm no lasting one', async () => {
  const client = serving.pod(1, 'a')
  await untilServed(client, serving.vip(1, 'IPv6'))
  const lasting = await Promise.all(
    families.flatMap((family) =>
      [false, true].map((udp) => pingPong(client, serving.vip(1, family), 25, { udp })),
    ),
  )
  for (const udp of [false, true]) {
    const { failed } = await dial(client, serving.vip(1), { udp, count: 5_000, rate: 2_000 })
    assert.deepEqual(failed, {})
  }
  for (const flows of lasting) assertUnharmed(await flows.stop())
})

for (const [what, isMatch] of [
  ['clients', ({ isReverse }) => !isReverse],
  ['backends', ({ isReverse }) => isReverse],
  ['both', () => true],
] as const satisfies readonly (readonly [string, (half: Half) => boolean])[])
  test(`flows whose entries for ${what} are deleted by hand go on`, async () => {
    const client = serving.pod(1, 'a')
    const lasting = await Promise.all(
      families.map((family) => pingPong(client, serving.vip(1, family), 25, { intervalMs: 50 })),
    )
    for (let round = 0; round < 3; round++) {
      await eventually(async () => assert.ok((await findHalves(isMatch)).length >= 50))
      /* An answer on its way at this very moment would reach the client untranslated. */
      for (const { pid } of lasting) process.kill(pid, 'SIGSTOP')
      await deleteEntries(await findHalves(isMatch))
      for (const { pid } of lasting) process.kill(pid, 'SIGCONT')
      const { pings } = lasting[0]!.latest()!
      await lasting[0]!.until((report) => report.pings > pings + 100)
    }
    for (const flows of lasting) assertUnharmed(await flows.stop())
  })

test('five thousand lasting flows work in a table of 1 024 entries', async () => {
  const client = serving.pod(1, 'a')
  const options = { intervalMs: 2_500, timeoutMs: 5_000 }
  const flows = await pingPong(client, serving.vip(1), 5_000, options)
  const { pings } = flows.latest()!
  await flows.until((report) => report.pings > pings + 10_000, 20_000)
  assertUnharmed(await flows.stop())
  const repeated = await readMetric(
    serving.agents[0]!,
    'kubeshunt_datapath_flow_events_total',
    'choice_repeated',
  )
  assert.ok(repeated > 0)
})

function assertUnharmed(report: FlowReport): void {
  const { flows, open, resets, closed, switched, connectFailures } = report
  assert.deepEqual(
    { open, resets, closed, switched, connectFailures },
    { open: flows, resets: 0, closed: 0, switched: 0, connectFailures: 0 },
  )
}

interface Half {
  readonly isReverse: boolean
}

/** Keys in the flow table of the client's node, as bpftool writes them. */
async function findHalves(isMatch: (half: Half) => boolean): Promise<string[]> {
  const { node1 } = serving
  const { stdout } = await node1.exec(['bpftool', '-j', 'map', 'dump', 'pinned', flowTable()])
  const entries = JSON.parse(stdout) as { key: string[]; value: string[] }[]
  const flagsAt = 56 // of struct flow
  return entries
    .filter(({ value }) => isMatch({ isReverse: (Number(value[flagsAt]) & 1) === 1 }))
    .map(({ key }) => key.join(' '))
}

/** Behind the agent's back. */
async function deleteEntries(keys: readonly string[]): Promise<void> {
  const lines = keys.map((key) => `map delete pinned ${flowTable()} key ${key}\n`)
  await serving.node1.exec(['bpftool', 'batch', 'file', '-'], { input: lines.join('') })
}

function flowTable(): string {
  return `${serving.node1.bpffs}/v1/maps/flows`
}
