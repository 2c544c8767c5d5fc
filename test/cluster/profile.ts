import type { Addresses, ClusterOptions, Family, Profile } from './types.ts'
import type { Wiring } from './wiring.ts'
import { bridgeWiring } from './profile-bridge.ts'
import { ptpWiring } from './profile-ptp.ts'
import { vxlanWiring } from './profile-vxlan.ts'

/** What wiring needs to know of a node. */
export interface NodePlan {
  /** From 1. */
  readonly n: number
  readonly netns: string
  readonly families: readonly Family[]
  /** Its own addresses, as Kubernetes knows them. */
  readonly addresses: Addresses
  /** Its addresses on each LAN. */
  readonly uplinks: readonly Addresses[]
  readonly options: ClusterOptions
}

/** What wiring needs to know of a pod. */
export interface PodPlan {
  readonly node: NodePlan
  readonly netns: string
  readonly addresses: Addresses
  readonly hostDevice: string
}

/** One way to wire pods. */
export interface ProfileWiring {
  /** What the node has for its pods and to reach the pods of `others`. */
  node(node: NodePlan, others: readonly NodePlan[]): Wiring
  pod(pod: PodPlan): Wiring
  /** What gives a wired pod more addresses. */
  moreAddresses(pod: PodPlan, addresses: readonly Addresses[]): Wiring
}

export const profiles: Readonly<Record<Profile, ProfileWiring>> = {
  bridge: bridgeWiring,
  ptp: ptpWiring,
  vxlan: vxlanWiring,
}
