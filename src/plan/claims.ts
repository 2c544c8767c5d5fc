import type { ResolvedService, ServiceName } from '../model/types.ts'

/** A Service and the keys it asks for. */
export interface Claimant {
  readonly name: ServiceName
  readonly uid: string
  readonly createdAt: number
  readonly keys: readonly string[]
}

/** Who asks for which key of `frontends`; of several the oldest Service gets it. */
export interface Claims {
  /** Several claimants are in order of age. */
  readonly byKey: Map<string, Claimant | readonly Claimant[]>
  readonly byService: Map<ServiceName, Claimant>
}

export function createClaims(): Claims {
  return { byKey: new Map(), byService: new Map() }
}

/**
 * Replaces what a Service asks for (undefined: nothing any more). The answer is which other
 * Services gain or lose a key by that.
 */
export function updateClaims(
  claims: Claims,
  service: ServiceName,
  resolved: ResolvedService | undefined,
): Set<ServiceName> {
  const before = claims.byService.get(service)
  const after = resolved === undefined ? undefined : claimantOf(resolved)
  const affected = new Set<ServiceName>()
  if (before !== undefined && after !== undefined && sameClaims(before, after)) return affected
  const winners = new Map<string, ServiceName | undefined>()
  for (const key of [...(before?.keys ?? []), ...(after?.keys ?? [])]) {
    winners.set(key, winnerOf(claims, key))
  }
  if (before !== undefined) for (const key of before.keys) withdraw(claims, key, before)
  if (after !== undefined) for (const key of after.keys) enter(claims, key, after)
  for (const [key, winner] of winners) {
    const now = winnerOf(claims, key)
    if (now === winner) continue
    if (winner !== undefined) affected.add(winner)
    if (now !== undefined) affected.add(now)
  }
  affected.delete(service)
  if (after === undefined) claims.byService.delete(service)
  else claims.byService.set(service, after)
  return affected
}

/** Which Service gets a key. */
export function winnerOf(claims: Claims, key: string): ServiceName | undefined {
  const claim = claims.byKey.get(key)
  if (claim === undefined) return undefined
  return isSingle(claim) ? claim.name : claim[0]?.name
}

/** Older first; of equally old ones the lower uid, then the lower name. */
export function compareAge(a: Age, b: Age): number {
  if (a.createdAt !== b.createdAt) return a.createdAt - b.createdAt
  if (a.uid !== b.uid) return a.uid < b.uid ? -1 : 1
  return a.name < b.name ? -1 : a.name === b.name ? 0 : 1
}

type Age = Pick<Claimant, 'name' | 'uid' | 'createdAt'>

function claimantOf(resolved: ResolvedService): Claimant {
  const keys = new Set<string>()
  for (const frontend of resolved.frontends) {
    for (const { text } of frontend.keys) keys.add(text)
  }
  const { name, uid, createdAt } = resolved
  return { name, uid, createdAt, keys: [...keys] }
}

function sameClaims(a: Claimant, b: Claimant): boolean {
  return (
    a.uid === b.uid &&
    a.createdAt === b.createdAt &&
    a.keys.length === b.keys.length &&
    a.keys.every((key, at) => key === b.keys[at])
  )
}

function enter(claims: Claims, key: string, claimant: Claimant): void {
  const claim = claims.byKey.get(key)
  if (claim === undefined) claims.byKey.set(key, claimant)
  else claims.byKey.set(key, [...listOf(claim), claimant].sort(compareAge))
}

function withdraw(claims: Claims, key: string, claimant: Claimant): void {
  const claim = claims.byKey.get(key)
  if (claim === undefined) return
  const others = listOf(claim).filter((other) => other.name !== claimant.name)
  if (others.length === 0) claims.byKey.delete(key)
  else claims.byKey.set(key, others.length === 1 ? others[0]! : others)
}

function listOf(claim: Claimant | readonly Claimant[]): readonly Claimant[] {
  return isSingle(claim) ? [claim] : claim
}

function isSingle(claim: Claimant | readonly Claimant[]): claim is Claimant {
  return !Array.isArray(claim)
}
