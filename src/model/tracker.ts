/**
 * Objects by key, as the last pass knew them (applied) and what has come in since (pending;
 * undefined: removed). A change that is taken back before the next pass is no change.
 */
export interface Tracker<Value> {
  readonly applied: Map<string, Value>
  readonly pending: Map<string, Value | undefined>
  readonly same: (a: Value, b: Value) => boolean
}

/** One change taken from a tracker. */
export interface Change<Value> {
  readonly key: string
  readonly before: Value | undefined
  readonly after: Value | undefined
}

/** An empty tracker; `same` tells whether two versions mean the same to us. */
export function createTracker<Value>(same: (a: Value, b: Value) => boolean): Tracker<Value> {
  return { applied: new Map(), pending: new Map(), same }
}

/** Notes the newest version of an object (undefined: removed); true when a pass has work to do. */
export function track<Value>(
  tracker: Tracker<Value>,
  key: string,
  value: Value | undefined,
): boolean {
  const applied = tracker.applied.get(key)
  const unchanged =
    value === undefined || applied === undefined ? value === applied : tracker.same(applied, value)
  if (unchanged) tracker.pending.delete(key)
  else tracker.pending.set(key, value)
  return !unchanged
}

/** Makes pending the new applied and tells what changed. */
export function takeChanges<Value>(tracker: Tracker<Value>): Change<Value>[] {
  const changes: Change<Value>[] = []
  for (const [key, after] of tracker.pending) {
    changes.push({ key, before: tracker.applied.get(key), after })
    if (after === undefined) tracker.applied.delete(key)
    else tracker.applied.set(key, after)
  }
  tracker.pending.clear()
  return changes
}
