import type { DialReport, FlowReport } from '../cluster/traffic-reports.ts'
import type { Paint } from './draw.ts'
import { percent, type Findings } from './scenes.ts'
import type { Stage } from './stage.ts'
import { answeredStreams } from './view.ts'

/** One promise and whether it was kept, in numbers. */
export interface Check {
  readonly isKept: boolean
  readonly text: string
}

/** What the traffic came to. */
export interface Totals {
  readonly connections: FlowReport
  /** Streams whose requests must be answered. */
  readonly served: readonly DialReport[]
  /** The one second of any stream that fell farthest below what was asked. */
  readonly slowest: { readonly name: string; readonly lowest: number; readonly asked: number }
  /** The stream whose requests must be refused. */
  readonly refused: DialReport
}

const silenceLimitMs = 1000
const refusalLimitMs = 500
const lowestShare = 0.5

/** Ends the traffic and tells what became of all of it. */
export async function endTraffic(stage: Stage): Promise<Totals> {
  const [connections, reports] = await Promise.all([
    stage.connections.stop(),
    Promise.all(stage.streams.map(({ dialling }) => dialling.stop())),
  ])
  return totalsOf(stage, connections, reports)
}

/** The same of traffic that goes on, as it was at most a second ago. */
export function latestTotals(stage: Stage): Totals {
  const reports = stage.streams.map(({ dialling }) => dialling.latest()!)
  return totalsOf(stage, stage.connections.latest()!, reports)
}

function totalsOf(stage: Stage, connections: FlowReport, reports: readonly DialReport[]): Totals {
  const served = reports.filter((_, at) => stage.streams[at]!.service.backends.length > 0)
  const slowest = answeredStreams(stage)
    .map(({ client, service, perSecond, meter }) => ({
      ...{ name: `${client} to ${service.name}`, lowest: meter.lowest, asked: perSecond },
    }))
    .reduce((a, b) => (b.lowest / b.asked < a.lowest / a.asked ? b : a))
  return { connections, served, slowest, refused: reports.at(-1)! }
}

/** Every promise of the demo against what was measured. */
export function judge(totals: Totals, findings: Findings): Check[] {
  const { away, back, killed } = findings
  const { slowest } = totals
  return [
    judgeConnections(totals.connections),
    judgeRequests(totals.served),
    {
      isKept: slowest.lowest >= slowest.asked * lowestShare,
      text:
        `rate unbroken: the worst second of any client had ${slowest.lowest.toFixed(0)} answers ` +
        `of ${slowest.asked} asked for (${slowest.name})`,
    },
    {
      isKept: away.reached === 0 && away.requests > 0 && away.servedAfter === away.servedBefore,
      text:
        `${away.backend} away: agents followed within ${away.milliseconds.toFixed(0)} ms; ${away.reached} of ` +
        `${away.requests} new requests reached it; ${away.servedAfter} of its ${away.servedBefore} ` +
        'open connections went on',
    },
    {
      isKept: back.share > 0.1,
      text:
        `${away.backend} back: agents followed within ${back.milliseconds.toFixed(0)} ms; ` +
        `takes ${percent(back.share)} of new requests`,
    },
    {
      isKept: killed.failed === 0 && killed.requests > 0,
      text:
        `${killed.node} without agent for ${killed.secondsWithout.toFixed(1)} s: ${killed.requests} ` +
        `requests answered, ${killed.failed} failed; ready ${killed.startMilliseconds} ms after its start`,
    },
    judgeRefusals(totals.refused, findings.refused),
  ]
}

function judgeConnections(report: FlowReport): Check {
  const { open, flows, resets, closed, timeouts, maxGapMs, pings, switched } = report
  return {
    isKept: open === flows && resets + closed + timeouts + switched === 0,
    text:
      `${open} of ${flows} connections survived, ${pings} questions on them: ${resets} reset, ` +
      `${closed} closed, ${timeouts} timed out, ${switched} moved; longest wait ${maxGapMs.toFixed(0)} ms`,
  }
}

function judgeRequests(reports: readonly DialReport[]): Check {
  const sum = (of: (report: DialReport) => number): number =>
    reports.reduce((total, report) => total + of(report), 0)
  const failures = sum((report) => report.failures)
  const silence = Math.max(...reports.map((report) => report.longestSilenceMs))
  return {
    isKept: failures === 0 && silence < silenceLimitMs && reports.every(({ ok }) => ok > 0),
    text:
      `${sum((report) => report.ok)} requests answered, ${failures} failed${reasonsText(reports)}; ` +
      `longest time without an answer ${silence.toFixed(0)} ms`,
  }
}

/** " (2 timeout, 1 ECONNRESET)" */
function reasonsText(reports: readonly DialReport[]): string {
  const counts = new Map<string, number>()
  for (const report of reports) {
    for (const [reason, count] of Object.entries(report.failed))
      counts.set(reason, (counts.get(reason) ?? 0) + count)
  }
  const texts = [...counts].map(([reason, count]) => `${count} ${reason}`)
  return texts.length === 0 ? '' : ` (${texts.join(', ')})`
}

function judgeRefusals(stream: DialReport, asked: Findings['refused']): Check {
  const refused = stream.failed['ECONNREFUSED'] ?? 0
  const slowest = Math.max(...asked.map(({ milliseconds }) => milliseconds))
  const isKept =
    stream.ok === 0 &&
    refused === stream.failures &&
    refused > 0 &&
    asked.every(({ answer }) => answer === 'ECONNREFUSED') &&
    slowest < refusalLimitMs
  return {
    isKept,
    text:
      `nobody: ${refused} of ${stream.ok + stream.failures} requests refused (ECONNREFUSED); ` +
      `unused ports too; the slowest of three after ${slowest.toFixed(1)} ms`,
  }
}

/** The checks as lines of at most `columns`. */
export function checkLines(checks: readonly Check[], columns: number, paint: Paint): string[] {
  return checks.flatMap(({ isKept, text }) => {
    const mark = isKept ? paint('green', '  ok  ') : paint(['bold', 'red'], 'FAILED')
    return wrap(text, columns - 7).map((line, at) => `${at === 0 ? mark : '      '} ${line}`)
  })
}

function wrap(text: string, columns: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > columns) {
      lines.push(line)
      line = word
    } else {
      line = line === '' ? word : `${line} ${word}`
    }
  }
  return [...lines, line]
}
