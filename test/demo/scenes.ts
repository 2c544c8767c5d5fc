import { setTimeout as wait } from 'node:timers/promises'
import { readFrontends } from '../../src/cli/frontends.ts'
import { openPins } from '../../src/cli/pins.ts'
import { askOnce } from '../cluster/traffic.ts'
import type { Show } from './show.ts'
import { slicesOf } from './services.ts'
import type { Backend } from './services.ts'
import type { Seat, Stage } from './stage.ts'
import { answeredStreams } from './view.ts'

/** What the scenes measured, besides the totals of the traffic itself. */
export interface Findings {
  readonly away: AwayFinding
  readonly back: { readonly milliseconds: number; readonly share: number }
  readonly killed: KilledFinding
  readonly refused: readonly RefusalFinding[]
}

interface AwayFinding {
  readonly backend: string
  /** From the change of the EndpointSlices until both nodes' maps held it. */
  readonly milliseconds: number
  /** New requests to web while it was away, and those of them that reached it. */
  readonly requests: number
  readonly reached: number
  /** Open connections that it went on serving, before and after. */
  readonly servedBefore: number
  readonly servedAfter: number
}

interface KilledFinding {
  readonly node: string
  readonly secondsWithout: number
  readonly requests: number
  readonly failed: number
  readonly startMilliseconds: number
}

interface RefusalFinding {
  readonly what: string
  readonly answer: string
  readonly milliseconds: number
}

/** Plays every scene. */
export async function play(stage: Stage, show: Show): Promise<Findings> {
  show.scene('1/5  Services at work: each request to web may land on any of its four backends')
  await wait(5000)
  show.scene('2/5  A backend leaves: new requests avoid it, its open connections go on')
  const away = await takeAway(stage, show)
  show.scene('3/5  It comes back')
  const back = await bringBack(stage, show)
  show.scene('4/5  The agent of node1 is killed: traffic does not need it')
  const killed = await killAgent(stage, show)
  show.scene('5/5  A Service that nobody serves refuses at once instead of letting clients wait')
  const refused = await askNobody(stage, show)
  await wait(3000)
  return { away, back, killed, refused }
}

async function takeAway(stage: Stage, show: Show): Promise<AwayFinding> {
  const web = stage.services[0]!
  const leaving = web.backends.at(-1)!
  const before = await stage.connections.until(isNewer(stage.connections.latest()))
  const milliseconds = await publish(
    stage,
    web.backends.filter((backend) => backend !== leaving),
  )
  show.event(
    `${leaving.name} left the EndpointSlices; both agents had it ${ms(milliseconds)} after the file was written`,
  )
  await nextReports(stage) // what was under way at the change belongs to the time before
  const start = countWeb(stage, leaving)
  await wait(5000)
  await nextReports(stage)
  const end = countWeb(stage, leaving)
  const after = await stage.connections.until(isNewer(stage.connections.latest()))
  const finding = {
    backend: leaving.name,
    milliseconds,
    requests: end.all - start.all,
    reached: end.ofBackend - start.ofBackend,
    servedBefore: before.backends[leaving.name] ?? 0,
    servedAfter: after.backends[leaving.name] ?? 0,
  }
  show.event(
    `${finding.requests} new requests to web, ${finding.reached} of them to ${leaving.name}, which ` +
      `still serves its ${finding.servedAfter} open connections`,
  )
  return finding
}

async function bringBack(stage: Stage, show: Show): Promise<Findings['back']> {
  const web = stage.services[0]!
  const milliseconds = await publish(stage, web.backends)
  const returned = web.backends.at(-1)!
  show.event(
    `${returned.name} is back; both agents had it ${ms(milliseconds)} after the file was written`,
  )
  await nextReports(stage)
  const start = countWeb(stage, returned)
  await wait(3000)
  await nextReports(stage)
  const end = countWeb(stage, returned)
  const share = (end.ofBackend - start.ofBackend) / Math.max(1, end.all - start.all)
  show.event(`${returned.name} takes ${percent(share)} of new requests`)
  return { milliseconds, share }
}

async function killAgent(stage: Stage, show: Show): Promise<KilledFinding> {
  const seat = stage.seats[0]!
  await nextReports(stage)
  const start = countAnswered(stage)
  const killedAt = Date.now()
  await seat.agent.stop('SIGKILL')
  seat.state = 'killed'
  show.event(`agent ${seat.agent.pid} of ${seat.node.name} got SIGKILL`)
  await wait(5000)
  await nextReports(stage)
  const end = countAnswered(stage)
  const secondsWithout = (Date.now() - killedAt) / 1000
  const startMilliseconds = await startAgain(seat)
  show.event(
    `${end.ok - start.ok} requests answered without it, ${end.failed - start.failed} failed; ` +
      `the new agent, ${seat.agent.pid}, was ready after ${ms(startMilliseconds)}`,
  )
  await wait(3000)
  return {
    ...{ node: seat.node.name, secondsWithout, startMilliseconds },
    ...{ requests: end.ok - start.ok, failed: end.failed - start.failed },
  }
}

async function startAgain(seat: Seat): Promise<number> {
  seat.state = 'starting'
  const startedAt = Date.now()
  seat.agent = await seat.node.startAgent()
  seat.state = 'running'
  return Date.now() - startedAt
}

async function askNobody(stage: Stage, show: Show): Promise<RefusalFinding[]> {
  const nobody = stage.services.at(-1)!
  const client = stage.cluster.nodes[0]!.pod('client')
  const web = stage.services[0]!.target.replace(/\d+$/, '81')
  const questions = [
    { what: `TCP to nobody, ${nobody.target}`, target: nobody.target, udp: false },
    { what: `TCP to a port that web has not, ${web}`, target: web, udp: false },
    { what: `UDP to a port that web has not, ${web}`, target: web, udp: true },
  ]
  const findings: RefusalFinding[] = []
  for (const { what, target, udp } of questions) {
    const answer = await askOnce(client, target, { udp, timeoutMs: 2000 })
    const text = answer.ok ? `answered by ${answer.name}` : answer.error
    show.event(`${what}: ${text} after ${answer.ms.toFixed(1)} ms`)
    findings.push({ what, answer: text, milliseconds: answer.ms })
  }
  return findings
}

/** Changes web's EndpointSlices and waits until every node's maps hold it; how long that took. */
async function publish(stage: Stage, backends: readonly Backend[]): Promise<number> {
  const web = stage.services[0]!
  stage.present = backends
  const start = performance.now()
  stage.cluster.objects.put(...slicesOf(web, backends))
  while (!stage.seats.every((seat) => countProgrammed(seat) === backends.length)) {
    if (performance.now() - start > 5000) throw new Error('the agents did not follow within 5 s')
    await wait(10)
  }
  return performance.now() - start
}

/** How many backends a node's maps have for web; both families must agree. */
function countProgrammed({ node }: Seat): number | undefined {
  const views = readFrontends(openPins(node.bpffs).dump()).filter(
    ({ service }) => service === 'default/web',
  )
  const counts = new Set(views.map((view) => view.backends.length))
  return counts.size === 1 ? [...counts][0] : undefined
}

/** A report of every stream that was made after now. */
async function nextReports(stage: Stage): Promise<void> {
  await Promise.all(stage.streams.map(({ dialling }) => dialling.until(isNewer(dialling.latest()))))
}

function isNewer(known: { readonly seconds: number } | undefined) {
  return (report: { readonly seconds: number }): boolean => report.seconds > (known?.seconds ?? -1)
}

function countWeb(stage: Stage, backend: Backend): { all: number; ofBackend: number } {
  const reports = stage.streams
    .filter(({ service }) => service === stage.services[0])
    .flatMap(({ dialling }) => dialling.latest() ?? [])
  return {
    all: reports.reduce((sum, { ok }) => sum + ok, 0),
    ofBackend: reports.reduce((sum, { backends }) => sum + (backends[backend.name] ?? 0), 0),
  }
}

function countAnswered(stage: Stage): { ok: number; failed: number } {
  const reports = answeredStreams(stage).flatMap(({ dialling }) => dialling.latest() ?? [])
  return {
    ok: reports.reduce((sum, report) => sum + report.ok, 0),
    failed: reports.reduce((sum, report) => sum + report.failures, 0),
  }
}

function ms(milliseconds: number): string {
  return `${milliseconds.toFixed(0)} ms`
}

/** "25 %" */
export function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`
}
