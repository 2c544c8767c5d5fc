import {
  frontendText,
  type Backend,
  type Frontend,
  type FrontendKey,
  type ResolvedService,
  type ServiceName,
} from '../model/types.ts'
import {
  groupOf,
  groupsOf,
  keptSlots,
  returnUnusedIds,
  trackBackends,
  type Group,
} from './backends.ts'
import { winnerOf } from './claims.ts'
import type { FrontendImage, ServiceImage } from './image.ts'
import { maxPlaces } from './layout.ts'
import { takeNumber } from './number-pool.ts'
import { keptSet, placeSet, sortSet, type SetImage } from './place-set.ts'
import { fitRanges, type RangeBudget } from './source-ranges.ts'
import type { PlanRefusal, PlanState, RefusalReason } from './state.ts'

/** The way to the API server: its last endpoints are kept, or nobody could ever bring new ones. */
const apiServer = 'default/kubernetes' as ServiceName

export interface Compiled {
  readonly image: ServiceImage
  readonly refusals: readonly PlanRefusal[]
}

/**
 * What the maps should hold for a Service. Numbers and slots are taken from the state's pools;
 * whatever is equal to what is there keeps its place. Where there is no room a frontend keeps
 * what it had.
 */
export function compileService(
  state: PlanState,
  resolved: ResolvedService,
  have: ServiceImage | undefined,
): Compiled {
  const groups = groupsOf(have)
  const frontends: FrontendImage[] = []
  const refusals: PlanRefusal[] = []
  const seen = new Set<string>()
  const newKeys = new Set<string>()
  const ranges = { added: 0 }
  for (const frontend of resolved.frontends) {
    const had = have?.frontends.find((other) => isSame(other, frontend))
    const refuse = (reason: RefusalReason, detail: string): undefined => {
      const { service, servicePort, kind } = frontend
      refusals.push({ service, servicePort, kind, reason, detail })
    }
    const group = groupOf(groups, frontend)
    const keys = wonKeys(state, frontend, seen, refuse)
    const image = compileFrontend({ state, frontend, had, group, newKeys, ranges, refuse }, keys)
    if (image === undefined) continue
    for (const text of missingKeys(state, image, image.keys)) newKeys.add(text)
    frontends.push(image)
  }
  const image = { service: resolved.name, frontends }
  if (refusals.length > 0) returnUnusedIds(state, groups, [have, image])
  return { image, refusals }
}

interface Compiler {
  readonly state: PlanState
  readonly frontend: Frontend
  readonly had: FrontendImage | undefined
  readonly group: Group
  /** Keys that earlier frontends of the Service will add. */
  readonly newKeys: ReadonlySet<string>
  readonly ranges: RangeBudget
  readonly refuse: (reason: RefusalReason, detail: string) => undefined
}

function isSame(image: FrontendImage, frontend: Frontend): boolean {
  return (
    image.servicePort === frontend.servicePort &&
    image.kind === frontend.kind &&
    image.family === frontend.family
  )
}

/** The keys that no older Service and no earlier frontend of this Service has. */
function wonKeys(
  state: PlanState,
  frontend: Frontend,
  seen: Set<string>,
  refuse: Compiler['refuse'],
): readonly FrontendKey[] {
  const keys: FrontendKey[] = []
  for (const key of frontend.keys) {
    const winner = winnerOf(state.claims, key.text)
    if (winner !== undefined && winner !== frontend.service) {
      refuse('taken', `${key.text} belongs to the older Service ${winner}`)
    } else if (!seen.has(key.text)) {
      seen.add(key.text)
      keys.push(key)
    }
  }
  return keys.length === frontend.keys.length ? frontend.keys : keys
}

/** The keys that would be new in the map, those of VIPs included. */
function missingKeys(
  state: PlanState,
  frontend: Pick<Frontend, 'ownsAddresses'>,
  keys: readonly FrontendKey[],
): string[] {
  const texts = keys.map((key) => key.text)
  if (frontend.ownsAddresses) for (const key of keys) texts.push(key.address)
  return texts.filter((text) => !state.keys.has(text))
}

function hasRoom({ state, frontend, newKeys }: Compiler, keys: readonly FrontendKey[]): boolean {
  const missing = new Set([...newKeys, ...missingKeys(state, frontend, keys)])
  const used = state.keys.size + state.garbage.strangeKeys.length
  return missing.size === newKeys.size || used + missing.size <= state.limits.keys
}

function compileFrontend(
  compiler: Compiler,
  won: readonly FrontendKey[],
): FrontendImage | undefined {
  if (hasRoom(compiler, won)) return compileKeys(compiler, won)
  const { state, frontend, had, refuse } = compiler
  refuse('frontends-full', `the frontends map holds ${state.limits.keys} entries`)
  const known = new Set(had?.keys.map((key) => key.text))
  const kept = won.filter((key) => known.has(key.text))
  const ownsAddresses = frontend.ownsAddresses && kept.every((key) => state.keys.has(key.address))
  return compileKeys({ ...compiler, frontend: { ...frontend, ownsAddresses } }, kept)
}

function compileKeys(compiler: Compiler, keys: readonly FrontendKey[]): FrontendImage | undefined {
  const { state, had, refuse } = compiler
  if (keys.length === 0) return undefined
  if (had !== undefined) return compileSet(compiler, had.index, oldIfSame(had.keys, keys))
  const index = takeNumber(state.indexes)
  if (index === undefined) {
    return refuse('frontends-full', `there are ${state.limits.indexes} frontend words`)
  }
  const image = compileSet(compiler, index, keys)
  if (image === undefined) state.indexes.free.push(index)
  return image
}

/** Equal keys stay the same objects, so that their texts are in memory once. */
function oldIfSame(
  old: readonly FrontendKey[],
  keys: readonly FrontendKey[],
): readonly FrontendKey[] {
  const isSame = old.length === keys.length && keys.every((key, at) => key.text === old[at]!.text)
  return isSame ? old : keys
}

/** The frontend with the backend set it wants, or with the one it had, or not at all. */
function compileSet(
  compiler: Compiler,
  index: number,
  keys: readonly FrontendKey[],
): FrontendImage | undefined {
  const { state, frontend, had, group, refuse } = compiler
  const wanted = wantedSet(compiler)
  if (wanted === undefined) {
    return had && { ...fixedPart(compiler, index, keys), ...keptSet(had, frontend) }
  }
  const kept = (): FrontendImage | undefined =>
    had && {
      ...fixedPart(compiler, index, keys),
      ...keptSet(had, frontend),
      slots: keptSlots(had, group, [...wanted.set, ...wanted.spares]),
    }
  const slots = trackBackends(state, group, [...wanted.set, ...wanted.spares])
  if (slots === undefined) {
    refuse('backend-ids-full', `there are ${state.limits.ids} backend ids`)
    return kept()
  }
  const count = wanted.set.length
  const local = wanted.set.filter((backend) => backend.local).length
  const set = placeSet(compiler, { slots, count, local, lead: Math.min(frontend.lead, count) })
  return set === undefined ? kept() : { ...fixedPart(compiler, index, keys), ...set }
}

/** undefined: leave the set as it is. */
function wantedSet(
  compiler: Compiler,
): { readonly set: readonly Backend[]; readonly spares: readonly Backend[] } | undefined {
  const { frontend, had, refuse } = compiler
  const { backends, spares } = frontend
  if (frontend.service === apiServer && backends.length === 0 && had !== undefined) return undefined
  if (backends.length <= maxPlaces) {
    return { set: frontend.choice === 'random' ? backends : sortSet(frontend), spares }
  }
  refuse('too-many-backends', `${backends.length}; only ${maxPlaces} are used`)
  return { set: backends.slice(0, maxPlaces), spares: [] }
}

function fixedPart(
  { state, frontend, had, ranges, refuse }: Compiler,
  index: number,
  keys: readonly FrontendKey[],
): Omit<FrontendImage, keyof SetImage> {
  const refuseRanges = (left: number): void =>
    refuse('source-ranges-full', `no room for ${left} ranges, which let nobody in`)
  return {
    index,
    servicePort: frontend.servicePort,
    kind: frontend.kind,
    family: frontend.family,
    protocol: frontend.protocol,
    text: had?.text ?? frontendText(frontend.service, frontend.portName),
    keys,
    ownsAddresses: frontend.ownsAddresses,
    generation: state.wordGenerations[index]!,
    localOnly: frontend.localOnly,
    externalLocalOnly: frontend.externalLocalOnly,
    affinitySeconds: frontend.affinitySeconds,
    sourceRanges: fitRanges(
      { state, budget: ranges, refuse: refuseRanges },
      index,
      frontend.sourceRanges,
    ),
  }
}
