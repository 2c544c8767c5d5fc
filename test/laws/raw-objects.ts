/* Kubernetes objects as the generators in world.ts make them. */

export interface RawService {
  readonly metadata: {
    readonly namespace: string
    readonly name: string
    readonly uid: string
    readonly creationTimestamp: string
    readonly labels: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
  }
  readonly spec: {
    readonly type: string
    readonly clusterIPs: readonly string[]
    readonly externalIPs: readonly string[]
    readonly internalTrafficPolicy: string
    readonly externalTrafficPolicy: string
    readonly sessionAffinity: string
    readonly loadBalancerSourceRanges: readonly string[]
    readonly ports: readonly RawPort[]
  }
  readonly status: {
    readonly loadBalancer: {
      readonly ingress: readonly { readonly ip: string; readonly ipMode?: string }[]
    }
  }
}

export interface RawPort {
  readonly name: string
  readonly port: number
  readonly protocol: string
  readonly nodePort: number
}

export interface RawNode {
  readonly metadata: {
    readonly name: string
    readonly labels: Readonly<Record<string, string>>
  }
  readonly spec: { readonly podCIDRs: readonly string[] }
  readonly status: {
    readonly addresses: readonly { readonly type: string; readonly address: string }[]
  }
}

/** Everything the frontends of this node depend on. */
export interface World {
  readonly services: readonly RawService[]
  readonly slices: readonly RawSlice[]
  readonly node: RawNode | undefined
  readonly interfaceAddresses: readonly string[]
}

export interface RawEndpoint {
  readonly addresses: readonly string[]
  readonly nodeName: string
  readonly conditions: {
    readonly ready: boolean | null
    readonly serving: boolean | null
    readonly terminating: boolean | null
  }
  readonly hints: {
    readonly forZones: readonly { readonly name: string }[]
    readonly forNodes: readonly { readonly name: string }[]
  } | null
}

export interface RawSlice {
  readonly metadata: {
    readonly namespace: string
    readonly name: string
    readonly labels: Readonly<Record<string, string>>
  }
  readonly addressType: string
  readonly ports: readonly {
    readonly name: string
    readonly port: number
    readonly protocol: string
  }[]
  readonly endpoints: readonly RawEndpoint[]
}

/** An address as it is before a port. */
export function hostText(address: string): string {
  return address.includes(':') ? `[${address}]` : address
}
