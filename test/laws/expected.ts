import type { FakeCluster } from '../fakes/fake-cluster.ts'
import type { RawNode, RawService, RawSlice } from './raw-objects.ts'
import { expectedDump } from './reference.ts'

/** The rules under which the laws are tested. */
export const rules = {
  nodePortAddresses: { kind: 'primary' },
  externalRanges: ['192.0.2.0/24'],
  sourceRangeKinds: 'external',
} as const

/** The plain dump that the maps of a cluster should give. */
export function expected(cluster: FakeCluster): string {
  const ofKind = (kind: string): unknown[] =>
    [...cluster.objects].filter(([key]) => key.startsWith(`${kind} `)).map(([, raw]) => raw)
  return expectedDump({
    services: ofKind('Service') as RawService[],
    slices: ofKind('EndpointSlice') as RawSlice[],
    node: ofKind('Node')[0] as RawNode | undefined,
    interfaceAddresses: cluster.interfaceAddresses(),
  })
}
