import type { Backend, NodeView } from './types.ts'

/** An endpoint at the port of one ServicePort. */
export interface Candidate extends Backend {
  readonly ready: boolean
  readonly serving: boolean
  readonly terminating: boolean
  readonly nodeHints: readonly string[]
  readonly zoneHints: readonly string[]
}

/** The endpoints of one ServicePort and family, by what they may be used for on this node. */
export interface EndpointSets {
  /** For policy Cluster; empty only where no endpoint anywhere may be used. */
  readonly cluster: readonly Candidate[]
  /** For policy Local; decided independently of `cluster`, and has all local ones of it. */
  readonly local: readonly Candidate[]
  /** Every endpoint that still answers. */
  readonly serving: readonly Candidate[]
}

/**
 * Which endpoints may be used on this node? Ready ones, those nearby if hints say so; where there
 * are none, those that are terminating but still serving, so that a rolling update never has a
 * gap.
 */
export function categorize(
  candidates: readonly Candidate[],
  node: Pick<NodeView, 'name' | 'zone'>,
): EndpointSets {
  const serving = candidates.filter((candidate) => candidate.ready || candidate.serving)
  return {
    cluster: nearby(usable(serving), node),
    local: usable(serving.filter((candidate) => candidate.local)),
    serving,
  }
}

function usable(candidates: readonly Candidate[]): readonly Candidate[] {
  const ready = candidates.filter((candidate) => candidate.ready)
  if (ready.length > 0) return ready
  return candidates.filter((candidate) => candidate.serving && candidate.terminating)
}

/**
 * Hints count only where every ready endpoint has them, or the others would never be used; those
 * for nodes come before those for zones. Hints that leave nothing for this node do not count.
 */
function nearby(
  candidates: readonly Candidate[],
  node: Pick<NodeView, 'name' | 'zone'>,
): readonly Candidate[] {
  if (candidates[0]?.ready !== true) return candidates
  return (
    hinted(candidates, (candidate) => candidate.nodeHints, node.name) ??
    hinted(candidates, (candidate) => candidate.zoneHints, node.zone) ??
    candidates
  )
}

function hinted(
  candidates: readonly Candidate[],
  hintsOf: (candidate: Candidate) => readonly string[],
  name: string,
): readonly Candidate[] | undefined {
  if (candidates.some((candidate) => hintsOf(candidate).length === 0)) return undefined
  const chosen = candidates.filter((candidate) => hintsOf(candidate).includes(name))
  return chosen.length > 0 ? chosen : undefined
}
