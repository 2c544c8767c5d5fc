import assert from 'node:assert/strict'
import { counterNames } from '../../src/datapath/abi.ts'
import type { DatapathReaders } from '../../src/metrics/datapath.ts'
import { Metrics } from '../../src/metrics/metrics.ts'

/** What a scrape reads of the datapath. */
export function readers(more: Partial<DatapathReaders> = {}): DatapathReaders {
  return {
    readCounters: () => counterNames.map((_, at) => BigInt(at)),
    readMaps: () => [
      { map: 'frontends', entries: 3, max: 64 },
      { map: 'fragments', entries: undefined, max: 8192 },
    ],
    readFrontends: () => [],
    ...more,
  }
}

/** Samples by name with labels, types by name. */
export interface Parsed {
  readonly samples: Map<string, number>
  readonly types: Map<string, string>
  readonly helps: Set<string>
}

/** Strict about the text format: what Prometheus would refuse, this refuses. */
export function parse(text: string): Parsed {
  const parsed: Parsed = { samples: new Map(), types: new Map(), helps: new Set() }
  for (const line of text.split('\n')) {
    if (line === '') continue
    const meta = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line)
    if (meta?.[1] === 'HELP') parsed.helps.add(meta[2]!)
    else if (meta !== null) {
      assert.ok(!parsed.types.has(meta[2]!), `${meta[2]} is declared twice`)
      parsed.types.set(meta[2]!, meta[3]!)
    } else {
      const sample = /^([a-z_:][a-z0-9_:]*(?:\{(?:[a-z_]+="(?:[^"\\]|\\.)*",?)*\})?) (\S+)$/i.exec(
        line,
      )
      assert.ok(sample, `not a sample: ${line}`)
      assert.ok(!parsed.samples.has(sample[1]!), `twice: ${sample[1]}`)
      parsed.samples.set(sample[1]!, Number(sample[2]))
    }
  }
  return parsed
}

/** The samples of a scrape. */
export async function scrape(metrics: Metrics): Promise<Parsed> {
  return parse((await metrics.scrape()).body)
}

/** Metrics to which everything happened once. */
export function busyMetrics(): Metrics {
  const metrics = new Metrics(readers(), '1.2.3')
  metrics.observeSync({
    isFull: true,
    families: [4, 6],
    seconds: 0.004,
    finishedAt: 1_700_000_000_500,
    stages: { plan: 0.001, apply: 0.002 },
    ops: 7,
  })
  metrics.syncQueued(4, 1_700_000_000_000)
  metrics.serviceChanges(2, 1)
  metrics.endpointChanges(5, 0)
  metrics.observeProgramming(4, 0.3)
  metrics.noLocalEndpoints(4, 'external', 2)
  metrics.healthAnswered('healthz', 200)
  metrics.healthAnswered('livez', 503)
  metrics.observeCollector({ seconds: 0.01, flows: 12, halfOpen: 3 })
  metrics.attachedDevices(['pod', 'pod', 'pod', 'pod'])
  return metrics
}
