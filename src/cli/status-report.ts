import type { MapDump } from '../plan/restore.ts'
import { countFlows } from './dump.ts'
import { generationOf, readFrontends } from './frontends.ts'
import { readHooks, type Hook } from './hooks.ts'
import { lockHolder, type Holder } from './lock-holder.ts'
import type { Pins } from './pins.ts'

/** A map and how full it is; what the agent keeps count of by nature is counted here. */
export interface Pressure {
  readonly map: string
  readonly entries: number
  readonly max: number
}

/** What the agent's health server says. */
export type Healthz =
  | { readonly kind: 'answered'; readonly status: number; readonly body: unknown }
  | { readonly kind: 'refused' | 'silent'; readonly reason: string }

export interface StatusReport {
  readonly isHealthy: boolean
  readonly problems: readonly string[]
  readonly warnings: readonly string[]
  readonly agent: { readonly holder: Holder | undefined; readonly healthz: Healthz }
  readonly frontends: {
    readonly addresses: number
    readonly services: number
    readonly generation: number
  }
  readonly flows: { readonly established: number; readonly halfOpen: number }
  readonly maps: readonly Pressure[]
  readonly hooks: readonly Hook[]
  readonly counters: ReadonlyMap<string, number>
}

/** From where on a map counts as nearly full. */
export const pressureLimit = 0.8

/** Everything `status` shows. */
export async function readStatus(pins: Pins, healthzUrl: string): Promise<StatusReport> {
  const dump = pins.dump()
  const views = readFrontends(dump)
  const counts = { flows: countFlows(pins, 'flows'), halfOpen: countFlows(pins, 'half_open') }
  const agent = { holder: lockHolder(pins.root.path), healthz: await askHealthz(healthzUrl) }
  const hooks = await readHooks(pins.root)
  const maps = readPressure(pins, dump, counts)
  const problems = problemsOf(agent, hooks)
  return {
    isHealthy: problems.length === 0,
    problems,
    warnings: warningsOf(agent, maps),
    agent,
    frontends: {
      addresses: views.length,
      services: new Set(views.map((view) => view.service)).size,
      generation: generationOf(dump),
    },
    flows: { established: counts.flows.flows, halfOpen: counts.halfOpen.flows },
    maps,
    hooks,
    counters: pins.counters(),
  }
}

const healthzTimeout = 2000

async function askHealthz(url: string): Promise<Healthz> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(healthzTimeout) })
    const text = await answer.text()
    const isJson = answer.headers.get('content-type')?.startsWith('application/json') === true
    return { kind: 'answered', status: answer.status, body: isJson ? JSON.parse(text) : text }
  } catch (error) {
    const isSilent = error instanceof Error && error.name === 'TimeoutError'
    if (isSilent) return { kind: 'silent', reason: `no answer within ${healthzTimeout} ms` }
    const cause =
      error instanceof Error ? (error.cause as NodeJS.ErrnoException | undefined) : undefined
    return { kind: 'refused', reason: cause?.code ?? String(error) }
  }
}

interface Counts {
  readonly flows: ReturnType<typeof countFlows>
  readonly halfOpen: ReturnType<typeof countFlows>
}

/* Arrays have no entry count of their own: in use is what is named, chosen from or alive. */
function readPressure(pins: Pins, dump: MapDump, counts: Counts): Pressure[] {
  const max = new Map(pins.mapInfos().map(({ name, maxEntries }) => [name, maxEntries]))
  let indexes = 0
  let slots = 0
  for (let index = 0; index < dump.limits.indexes; index++) {
    if (dump.name(index) === undefined) continue
    indexes++
    slots += dump.word(index).count
  }
  let alive = 0
  for (let id = 0; id < dump.limits.ids; id++) if (dump.state(id).alive) alive++
  const entries = {
    frontends: dump.keys.length + dump.strangeKeys.length,
    frontend_words: indexes,
    backends: slots,
    backend_states: alive,
    flows: counts.flows.entries,
    half_open: counts.halfOpen.entries,
  }
  return Object.entries(entries).map(([map, used]) => ({
    map,
    entries: used,
    max: max.get(map) ?? 0,
  }))
}

function problemsOf(agent: StatusReport['agent'], hooks: readonly Hook[]): string[] {
  const { holder, healthz } = agent
  const isAlive = holder !== undefined || healthz.kind === 'answered'
  const lost = hooks.filter((hook) => !hook.isAttached && hook.device !== undefined)
  return [
    ...(isAlive ? [] : ['no agent is running: what is programmed stays as it is']),
    ...(healthz.kind === 'silent' ? [`the agent hangs: healthz gives ${healthz.reason}`] : []),
    ...(healthz.kind === 'answered' && healthz.status !== 200
      ? [`the agent is not healthy: healthz gives ${healthz.status}`]
      : []),
    ...lost.map((hook) => `${hook.device ?? '?'}: the ${hook.direction} program was taken off`),
  ]
}

function warningsOf(
  { holder, healthz }: StatusReport['agent'],
  maps: readonly Pressure[],
): string[] {
  const full = maps.filter(({ entries, max }) => max > 0 && entries / max >= pressureLimit)
  const unheard = holder !== undefined && healthz.kind === 'refused'
  return [
    ...full.map(
      ({ map, entries, max }) => `map ${map} is ${percent(entries, max)} full (${entries}/${max})`,
    ),
    ...(unheard ? [`healthz does not answer (${healthz.reason}): see --healthz-bind-address`] : []),
  ]
}

/** How full, as people read it. */
export function percent(entries: number, max: number): string {
  const value = max === 0 ? 0 : (100 * entries) / max
  return value > 0 && value < 1 ? '<1 %' : `${Math.floor(value)} %`
}
