import { apply, MapWriteError } from '../../src/datapath/apply.ts'
import { decodeDump, restore } from '../../src/datapath/restore.ts'
import { parseEndpointSlice } from '../../src/kube/parse-endpointslice.ts'
import { parseService } from '../../src/kube/parse-service.ts'
import { parseNode } from '../../src/kube/parse-node.ts'
import { createClusterView, unknownNode } from '../../src/model/cluster-view.ts'
import type { ExposureRules } from '../../src/model/exposure.ts'
import { track } from '../../src/model/tracker.ts'
import type { Refusal } from '../../src/model/types.ts'
import { dumpImages, type DumpOptions } from '../../src/plan/dump.ts'
import type { Limits, MapOp } from '../../src/plan/image.ts'
import { commitPass, failPass, planPass } from '../../src/plan/plan.ts'
import { restoreState } from '../../src/plan/restore.ts'
import type { PlanState } from '../../src/plan/state.ts'
import { createFakeMaps, smallLimits, type FakeMaps } from './fake-maps.ts'

/** Raw Kubernetes objects by "Service namespace/name" or "EndpointSlice namespace/name". */
export type Objects = Map<string, unknown>

/** The control plane from raw objects to fake maps, with the clock and restarts in our hands. */
export interface FakeCluster {
  readonly maps: FakeMaps
  readonly objects: Objects
  now: number
  state: PlanState
  /** What resolving refused, by Service. */
  readonly refusals: Map<string, readonly Refusal[]>
  upsert(kind: string, raw: unknown): void
  /** The same for an object that may be anything; it is not fed again after a restart. */
  send(kind: string, raw: unknown): void
  remove(kind: string, name: string): void
  interfaceAddresses(): readonly string[]
  setInterfaceAddresses(addresses: readonly string[]): void
  /** One pass over what changed; `watch` sees the maps after each op. */
  pass(watch?: (op: MapOp) => void): readonly MapOp[]
  /** Forgets everything but the objects and the maps, and does the first pass. */
  restart(): readonly MapOp[]
  /** What the maps hold, decoded from their bytes. */
  dump(options?: DumpOptions): string
}

export function createFakeCluster(
  limits: Limits = smallLimits,
  rules?: ExposureRules,
): FakeCluster {
  const maps = createFakeMaps(limits)
  const objects: Objects = new Map()
  const refusals = new Map<string, readonly Refusal[]>()
  let view = createClusterView('here', rules)
  let interfaceAddresses: readonly string[] = []
  let isFirst = true
  const feed = (kind: string, raw: unknown): void => {
    if (kind === 'Service') {
      const parsed = parseService(raw)
      if (parsed.name !== '')
        track(view.services, parsed.name, parsed.kind === 'parsed' ? parsed.value : undefined)
    } else if (kind === 'EndpointSlice') {
      const parsed = parseEndpointSlice(raw)
      const value = parsed.kind === 'parsed' ? parsed.value : undefined
      if (parsed.name !== '') track(view.endpoints.slices, parsed.name, value)
    } else {
      const parsed = parseNode(raw)
      if (parsed.kind === 'parsed' && parsed.name === 'here') view.setNode(parsed.value)
    }
  }
  const forget = (kind: string, name: string): void => {
    if (kind === 'Service') track(view.services, name, undefined)
    else if (kind === 'EndpointSlice') track(view.endpoints.slices, name, undefined)
    else view.setNode(unknownNode('here'))
  }
  const cluster: FakeCluster = {
    maps,
    objects,
    refusals,
    now: 0,
    state: restore(maps.dump()),
    upsert(kind, raw) {
      const { namespace = 'default', name } = (raw as { metadata: Record<string, string> }).metadata
      objects.set(`${kind} ${namespace}/${name!}`, raw)
      feed(kind, raw)
    },
    send: feed,
    interfaceAddresses: () => interfaceAddresses,
    setInterfaceAddresses(addresses) {
      interfaceAddresses = addresses
      view.setInterfaceAddresses(addresses)
    },
    remove(kind, name) {
      objects.delete(`${kind} ${name}`)
      forget(kind, name)
    },
    pass(watch) {
      const { ops } = planPass(cluster.state, {
        changed: view.takeChanged(),
        prune: isFirst,
        now: cluster.now,
        resolve: (name) => {
          const resolved = view.resolve(name)
          if (resolved === undefined || resolved.refusals.length === 0) refusals.delete(name)
          else refusals.set(name, resolved.refusals)
          return resolved
        },
      })
      isFirst = false
      write(cluster, ops, watch)
      commitPass(cluster.state, cluster.now)
      return ops
    },
    restart() {
      view = createClusterView('here', rules)
      view.setInterfaceAddresses(interfaceAddresses)
      isFirst = true
      for (const [key, raw] of objects) feed(key.split(' ')[0]!, raw)
      cluster.state = restore(maps.dump())
      return cluster.pass()
    },
    dump: (options) => dumpImages(restoreState(decodeDump(maps.dump())).services.values(), options),
  }
  return cluster
}

/** One op at a time for a watcher, all at once without. */
function write(cluster: FakeCluster, ops: readonly MapOp[], watch?: (op: MapOp) => void): void {
  let done = 0
  try {
    if (watch === undefined) return apply(ops, cluster.maps)
    for (; done < ops.length; done++) {
      apply([ops[done]!], cluster.maps)
      watch(ops[done]!)
    }
  } catch (error) {
    if (error instanceof MapWriteError) failPass(cluster.state, done + error.applied)
    throw error
  }
}
