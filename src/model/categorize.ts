import type { Backend } from './types.ts'

/** An endpoint at the port of one ServicePort. */
export interface Candidate extends Backend {
  readonly ready: boolean
  readonly serving: boolean
  readonly terminating: boolean
}

/** The endpoints of one ServicePort and family, by what they may be used for on this node. */
export interface EndpointSets {
  /** For policy Cluster. */
  readonly cluster: readonly Candidate[]
  /** For policy Local; decided independently of `cluster`. */
  readonly local: readonly Candidate[]
  /** Every endpoint that still answers. */
  readonly serving: readonly Candidate[]
}

/**
 * Which endpoints may be used on this node? Ready ones; where there are none, those that are
 * terminating but still serving, so that a rolling update never has a gap.
 */
export function categorize(candidates: readonly Candidate[]): EndpointSets {
  const serving = candidates.filter((candidate) => candidate.ready || candidate.serving)
  return {
    cluster: usable(serving),
    local: usable(serving.filter((candidate) => candidate.local)),
    serving,
  }
}

function usable(candidates: readonly Candidate[]): readonly Candidate[] {
  const ready = candidates.filter((candidate) => candidate.ready)
  if (ready.length > 0) return ready
  return candidates.filter((candidate) => candidate.serving && candidate.terminating)
}
