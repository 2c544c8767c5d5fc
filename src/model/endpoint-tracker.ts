import { sameTexts } from './service-tracker.ts'
import { createTracker, takeChanges, type Tracker } from './tracker.ts'
import type { Endpoint, EndpointSlice, ServiceName } from './types.ts'

/** EndpointSlices by their own key, and which of them belong to each Service. */
export interface EndpointTracker {
  readonly slices: Tracker<EndpointSlice>
  /** Applied slices of each Service, by key, so that event order leaves no trace. */
  readonly byService: Map<ServiceName, readonly EndpointSlice[]>
}

/** An empty tracker of EndpointSlices; feed it with `track(tracker.slices, slice.key, slice)`. */
export function createEndpointTracker(): EndpointTracker {
  return { slices: createTracker(sameSlice), byService: new Map() }
}

/** Which Services have other endpoints than at the last pass, the one a slice left included. */
export function takeChangedEndpoints(tracker: EndpointTracker): Set<ServiceName> {
  const changed = new Set<ServiceName>()
  for (const { key, before, after } of takeChanges(tracker.slices)) {
    if (before?.service !== undefined) {
      replaceSlice(tracker, before.service, key, undefined)
      changed.add(before.service)
    }
    if (after?.service !== undefined) {
      replaceSlice(tracker, after.service, key, after)
      changed.add(after.service)
    }
  }
  return changed
}

/** The applied slices of a Service. */
export function slicesOf(tracker: EndpointTracker, service: ServiceName): readonly EndpointSlice[] {
  return tracker.byService.get(service) ?? []
}

function replaceSlice(
  tracker: EndpointTracker,
  service: ServiceName,
  key: string,
  slice: EndpointSlice | undefined,
): void {
  const others = slicesOf(tracker, service).filter((other) => other.key !== key)
  const slices = slice === undefined ? others : [...others, slice]
  slices.sort((a, b) => (a.key < b.key ? -1 : 1))
  if (slices.length === 0) tracker.byService.delete(service)
  else tracker.byService.set(service, slices)
}

function sameSlice(a: EndpointSlice, b: EndpointSlice): boolean {
  return (
    a.service === b.service &&
    a.family === b.family &&
    a.ports.length === b.ports.length &&
    a.endpoints.length === b.endpoints.length &&
    a.ports.every((port, at) => {
      const other = b.ports[at]!
      return (
        port.port === other.port &&
        port.portName === other.portName &&
        port.protocol === other.protocol
      )
    }) &&
    a.endpoints.every((endpoint, at) => sameEndpoint(endpoint, b.endpoints[at]!))
  )
}

function sameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return (
    a.address === b.address &&
    a.ready === b.ready &&
    a.serving === b.serving &&
    a.terminating === b.terminating &&
    a.node === b.node &&
    a.zone === b.zone &&
    sameTexts(a.zoneHints, b.zoneHints) &&
    sameTexts(a.nodeHints, b.nodeHints)
  )
}
