// Writes docs/metrics.md.
import { readFileSync, writeFileSync } from 'node:fs'
import { counterNames } from '../../src/datapath/abi.ts'
import { placeOf } from '../../src/metrics/datapath.ts'
import { Metrics } from '../../src/metrics/metrics.ts'

const intro = `# Metrics

What \`127.0.0.1:10249/metrics\` tells besides kube-proxy's families, which are in
[kube-proxy-compatibility.md](kube-proxy-compatibility.md). Printed by \`test/docs/metrics-page.ts\` from
the metrics themselves and the comments of \`enum counter\` in \`bpf/counters.h\`.

The number of series is bounded: frontends have series while they are among the 1000 busiest, and
reasons name no objects. With 10 000 Services a page has some 2300 lines and takes the agent 15 ms.
`

const questions = `## Questions

| Question | Ask |
| --- | --- |
| Do changes reach the datapath? | \`kubeshunt_sync_failures_total\` rises: no; the log says why. \`/healthz\` is 503 when it lasts |
| Does the agent hear of changes? | \`kubeshunt_watch_synced\` is 0 or \`kubeshunt_watch_restarts_total\` rises: not well |
| Is there room? | \`kubeshunt_map_entries / kubeshunt_map_max_entries > 0.8\`: not for long. For \`flows\` and \`half_open\` a full table forgets the flow that was idle longest |
| Which Service lacks endpoints? | \`rate(kubeshunt_frontend_rejects_total[5m]) > 0\` |
| Is something not served as written? | \`kubeshunt_refused_objects > 0\`: Events and the log name the object |
| Why are packets dropped? | \`rate(kubeshunt_datapath_drops_total[5m])\` by reason |
`

/** The page as it is to be. */
export async function metricsPage(): Promise<string> {
  return [
    intro,
    questions,
    '## Families\n',
    table(['Family', 'Type', 'Labels', 'What'], await familyRows()),
    '## Verdicts, reasons and events\n',
    table(['Family', 'Label value', 'What'], counterRows()),
  ].join('\n')
}

/* A scrape of an agent to which everything happened, as labels are seen on samples alone. */
async function page(): Promise<string> {
  const metrics = new Metrics(
    {
      readCounters: () => counterNames.map(() => 0),
      readMaps: () => [{ map: 'm', entries: 0, max: 1 }],
      readFrontends: () => [{ text: 'a/b', kind: 'k', protocol: 'p', flows: 0, rejects: 0 }],
    },
    '',
  )
  const stages = { plan: 0 }
  metrics.observeSync({ families: [4], isFull: true, seconds: 0, finishedAt: 0, stages, ops: 0 })
  metrics.observeCollector({ seconds: 0, flows: 0, halfOpen: 0 })
  metrics.attachedDevices([])
  metrics.observeWatch({ resource: 'r', synced: true, objects: 0, lastEvent: 0, restarts: 0 })
  metrics.refusedBy(() => [{ kind: 'k', reason: 'r', count: 1 }])
  return (await metrics.scrape()).body
}

async function familyRows(): Promise<string[][]> {
  const text = await page()
  const families = [...text.matchAll(/^# HELP (kubeshunt_\S+) (.*)\n# TYPE \S+ (\S+)$/gm)]
  return families
    .map(([, name = '', help = '', type = '']) => {
      const sample = new RegExp(`^${name}(?:_count)?\\{(.*)\\} `, 'm').exec(text)?.[1] ?? ''
      const labels = [...sample.matchAll(/(\w+)="/g)].map(([, label = '']) => code(label))
      return [code(name), type, labels.join(' '), help]
    })
    .sort(([a = ''], [b = '']) => (a < b ? -1 : 1))
}

function counterRows(): string[][] {
  const header = readFileSync(new URL('../../bpf/counters.h', import.meta.url), 'utf8')
  return counterNames
    .map((name) => {
      const { metric, value } = placeOf(name)
      const line = new RegExp(`\\bCOUNT_${name.toUpperCase()}\\b[^\\n]*`).exec(header)?.[0] ?? ''
      const what = /\/\* (.*) \*\//.exec(line)?.[1] ?? meanings[name] ?? ''
      return [code(`kubeshunt_datapath_${metric}_total`), code(value), what]
    })
    .sort(([a = ''], [b = '']) => (a < b ? -1 : a > b ? 1 : 0))
}

/* Of counters whose names say enough to those who read counters.h. */
const meanings: Readonly<Record<string, string>> = {
  flow_created: 'a first packet got a backend',
  hairpin: 'packets of a backend to itself through a VIP',
  icmp_translated: 'ICMP errors about translated packets',
  fragment_translated: 'later fragments, after their first',
  reject_unused_port: 'a port of a VIP that no Service has',
  drop_malformed: 'headers that contradict each other, on the way to a VIP',
  drop_no_local_endpoint: 'a Local policy, and no endpoint on this node',
  drop_reject_limited: 'a client that was told too often lately',
  drop_reject_failed: 'an answer could not be made (IP options, extension headers)',
}

function code(text: string): string {
  return `\`${text}\``
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line), ''].join('\n')
}

if (import.meta.main) {
  writeFileSync(new URL('../../docs/metrics.md', import.meta.url), await metricsPage())
}
