import { apply, MapWriteError } from '../../src/datapath/apply.ts'
import { decodeDump, restore } from '../../src/datapath/restore.ts'
import { parseEndpointSlice } from '../../src/kube/parse-endpointslice.ts'
import { parseService } from '../../src/kube/parse-service.ts'
import {
  createEndpointTracker,
  slicesOf,
  takeChangedEndpoints,
} from '../../src/model/endpoint-tracker.ts'
import { resolveService } from '../../src/model/resolve.ts'
import { createServiceTracker, takeChangedServices } from '../../src/model/service-tracker.ts'
import { track } from '../../src/model/tracker.ts'
import type { NodeView, Parsed } from '../../src/model/types.ts'
import { dumpImages, type DumpOptions } from '../../src/plan/dump.ts'
import type { Limits, MapOp } from '../../src/plan/image.ts'
import { commitPass, failPass, planPass } from '../../src/plan/plan.ts'
import { restoreState } from '../../src/plan/restore.ts'
import type { PlanState } from '../../src/plan/state.ts'
import { createFakeMaps, smallLimits, type FakeMaps } from './fake-maps.ts'

const node: NodeView = { name: 'here', zone: '', addresses: [], podCIDRs: [] }

/** Raw Kubernetes objects by "Service namespace/name" or "EndpointSlice namespace/name". */
export type Objects = Map<string, unknown>

/** The control plane from raw objects to fake maps, with the clock and restarts in our hands. */
export interface FakeCluster {
  readonly maps: FakeMaps
  readonly objects: Objects
  now: number
  state: PlanState
  upsert(kind: string, raw: unknown): void
  remove(kind: string, name: string): void
  /** One pass over what changed; `watch` sees the maps after each op. */
  pass(watch?: (op: MapOp) => void): readonly MapOp[]
  /** Forgets everything but the objects and the maps, and does the first pass. */
  restart(): readonly MapOp[]
  /** What the maps hold, decoded from their bytes. */
  dump(options?: DumpOptions): string
}

export function createFakeCluster(limits: Limits = smallLimits): FakeCluster {
  const maps = createFakeMaps(limits)
  const objects: Objects = new Map()
  let services = createServiceTracker()
  let endpoints = createEndpointTracker()
  let isFirst = true
  const feed = (kind: string, raw: unknown): void => {
    const parsed: Parsed<unknown> = kind === 'Service' ? parseService(raw) : parseEndpointSlice(raw)
    if (parsed.kind === 'parsed' && kind === 'Service') {
      const { value } = parsed as Extract<ReturnType<typeof parseService>, { kind: 'parsed' }>
      track(services, value.name, value)
    } else if (parsed.kind === 'parsed') {
      const { value } = parsed as Extract<ReturnType<typeof parseEndpointSlice>, { kind: 'parsed' }>
      track(endpoints.slices, value.key, value)
    } else forget(kind, parsed.name)
  }
  const forget = (kind: string, name: string): void => {
    if (kind === 'Service') track(services, name, undefined)
    else track(endpoints.slices, name, undefined)
  }
  const cluster: FakeCluster = {
    maps,
    objects,
    now: 0,
    state: restore(maps.dump()),
    upsert(kind, raw) {
      const { namespace = 'default', name } = (raw as { metadata: Record<string, string> }).metadata
      objects.set(`${kind} ${namespace}/${name!}`, raw)
      feed(kind, raw)
    },
    remove(kind, name) {
      objects.delete(`${kind} ${name}`)
      forget(kind, name)
    },
    pass(watch) {
      const changed = takeChangedServices(services)
      for (const name of takeChangedEndpoints(endpoints)) changed.add(name)
      const { ops } = planPass(cluster.state, {
        changed,
        prune: isFirst,
        now: cluster.now,
        resolve: (name) => {
          const service = services.applied.get(name)
          return service && resolveService(service, slicesOf(endpoints, name), node)
        },
      })
      isFirst = false
      write(cluster, ops, watch)
      commitPass(cluster.state, cluster.now)
      return ops
    },
    restart() {
      services = createServiceTracker()
      endpoints = createEndpointTracker()
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
