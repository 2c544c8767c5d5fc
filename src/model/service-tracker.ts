import { createTracker, type Tracker } from './tracker.ts'
import type { Service, ServicePort, SourceRanges } from './types.ts'

export type ServiceTracker = Tracker<Service>

/** An empty tracker of Services, keyed by their name. */
export function createServiceTracker(): ServiceTracker {
  return createTracker(sameService)
}

function sameService(a: Service, b: Service): boolean {
  return (
    a.uid === b.uid &&
    a.createdAt === b.createdAt &&
    a.type === b.type &&
    a.internalPolicy === b.internalPolicy &&
    a.externalPolicy === b.externalPolicy &&
    a.affinitySeconds === b.affinitySeconds &&
    a.healthCheckNodePort === b.healthCheckNodePort &&
    a.publishNotReady === b.publishNotReady &&
    sameTexts(a.clusterIPs, b.clusterIPs) &&
    sameTexts(a.loadBalancerIPs, b.loadBalancerIPs) &&
    sameTexts(a.externalIPs, b.externalIPs) &&
    a.ports.length === b.ports.length &&
    a.ports.every((port, at) => samePort(port, b.ports[at]!)) &&
    sameRanges(a.sourceRanges, b.sourceRanges) &&
    a.choice === b.choice &&
    a.annotations.size === b.annotations.size &&
    [...a.annotations].every(([key, value]) => b.annotations.get(key) === value)
  )
}

function samePort(a: ServicePort, b: ServicePort): boolean {
  return a.name === b.name && a.port === b.port && a.nodePort === b.nodePort
}

function sameRanges(a: SourceRanges, b: SourceRanges): boolean {
  if (a.kind !== 'listed' || b.kind !== 'listed') return a.kind === b.kind
  return sameTexts(a.ranges, b.ranges)
}

/** Whether two lists hold the same texts in the same order. */
export function sameTexts(a: readonly string[], b: readonly string[]): boolean {
  return a === b || (a.length === b.length && a.every((text, at) => text === b[at]))
}
