import assert from 'node:assert/strict'
import type { KubeObject } from '../cluster/objects.ts'
import { dial } from '../cluster/traffic.ts'
import type { Family, Place, Pod } from '../cluster/types.ts'
import { eventually, families, podPort } from './serving.ts'

/** One endpoint of a slice as the API has it; what is left out is not in the object. */
export interface Entry {
  readonly pod: Pod
  readonly conditions?: Readonly<Record<string, boolean | null>> | null
  readonly zones?: readonly string[]
  readonly nodes?: readonly string[]
}

interface SliceOptions {
  /** Default: the name that `slicesFor` gives it. */
  readonly name?: string
  /** Where the pods answer, by port name; default podPort for both names. */
  readonly port?: number
  readonly labels?: Readonly<Record<string, string>>
}

/** The slices of Service number `n`, one per family, with all that conditions and hints allow. */
export function slicesWith(
  n: number,
  entries: readonly Entry[],
  options: SliceOptions = {},
): KubeObject[] {
  return families.map((family) => ({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${options.name ?? `web${n}`}-${family.toLowerCase()}`,
      namespace: 'default',
      labels: { 'kubernetes.io/service-name': `web${n}`, ...options.labels },
    },
    addressType: family,
    ports: [
      { name: 'tcp', protocol: 'TCP', port: options.port ?? podPort },
      { name: 'udp', protocol: 'UDP', port: options.port ?? podPort },
    ],
    endpoints: entries.map((entry) => endpointOf(entry, family)),
  }))
}

function endpointOf({ pod, conditions, zones, nodes }: Entry, family: Family): unknown {
  const named = (names: readonly string[] | undefined): unknown => names?.map((name) => ({ name }))
  return {
    addresses: [pod.addresses[family]],
    nodeName: pod.node.name,
    ...(conditions !== undefined && { conditions }),
    ...((zones ?? nodes) && { hints: { forZones: named(zones), forNodes: named(nodes) } }),
  }
}

/** What 40 new connections met: the names of all that answered, or the errors, sorted. */
export async function outcomeOf(place: Place, target: string): Promise<string> {
  const report = await dial(place, target, { count: 40, rate: 2_000, timeoutMs: 400 })
  return [...Object.keys(report.backends), ...Object.keys(report.failed)].sort().join(' ')
}

/** Waits, no longer than a change may take to be seen in traffic, until connections meet this. */
export async function untilOutcome(
  place: Place,
  target: string,
  expected: readonly string[] | string,
): Promise<void> {
  const wanted = typeof expected === 'string' ? expected : [...expected].sort().join(' ')
  await eventually(async () => assert.equal(await outcomeOf(place, target), wanted), 2_000)
}

/** What a frontend without any endpoint does, and one whose policy has none here. */
export const rejected = 'ECONNREFUSED'
export const dropped = 'timeout'
