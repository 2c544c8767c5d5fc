import {
  hostText,
  type RawEndpoint,
  type RawPort,
  type RawService,
  type World,
} from './raw-objects.ts'

/* Which endpoints, for whom: the second half of the reference. */

export interface Found {
  readonly text: string
  readonly local: boolean
  readonly rank: 'ready' | 'leaving' | 'serving' | 'dead'
  /** Hinted for this node, or for another one; the same for zones. */
  readonly nodeHint: 'ours' | 'theirs' | 'none'
  readonly zoneHint: 'ours' | 'theirs' | 'none'
}

interface Question {
  readonly service: RawService
  readonly port: RawPort
  readonly address: string
  readonly world: World
  readonly vips: ReadonlyMap<string, unknown>
}

const order = ['ready', 'leaving', 'serving', 'dead']

/** Every endpoint of a ServicePort once: the best record, of equal ones that of the first slice. */
export function findEndpoints({ service, port, address, world, vips }: Question): Found[] {
  const found = new Map<string, Found>()
  const slices = [...world.slices].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
  for (const slice of slices) {
    if (slice.metadata.labels['kubernetes.io/service-name'] !== service.metadata.name) continue
    if (slice.addressType !== (address.includes(':') ? 'IPv6' : 'IPv4')) continue
    const match = slice.ports.find((p) => p.name === port.name && p.protocol === port.protocol)
    for (const endpoint of match === undefined ? [] : slice.endpoints) {
      const at = endpoint.addresses[0]!
      // an address of this node's pods is believed to be one
      const isPod = world.node !== undefined && at.startsWith('10.1.')
      if (vips.has(at) && !isPod) continue
      const one = describeEndpoint(endpoint, `${hostText(at)}:${match!.port}`, world)
      const other = found.get(one.text)
      if (other === undefined || order.indexOf(one.rank) < order.indexOf(other.rank)) {
        found.set(one.text, one)
      }
    }
  }
  return [...found.values()]
}

function describeEndpoint(endpoint: RawEndpoint, text: string, { node }: World): Found {
  const zone = node?.metadata.labels['topology.kubernetes.io/zone'] ?? ''
  const hint = (list: readonly { readonly name: string }[] | undefined, own: string) => {
    if (list === undefined || list.length === 0) return 'none'
    return list.some(({ name }) => name === own) ? 'ours' : 'theirs'
  }
  return {
    text,
    local: endpoint.nodeName === 'here',
    rank: rankOf(endpoint),
    nodeHint: hint(endpoint.hints?.forNodes, 'here'),
    zoneHint: hint(endpoint.hints?.forZones, zone),
  }
}

function rankOf({ conditions }: RawEndpoint): Found['rank'] {
  const ready = conditions.ready ?? true
  const serving = conditions.serving ?? ready
  if (ready) return 'ready'
  if (!serving) return 'dead'
  return conditions.terminating === true ? 'leaving' : 'serving'
}

function usable(found: readonly Found[]): readonly Found[] {
  const ready = found.filter((one) => one.rank === 'ready')
  return ready.length > 0 ? ready : found.filter((one) => one.rank === 'leaving')
}

/** Topology looks at ready endpoints only, and only for the cluster set. */
function nearby(found: readonly Found[]): readonly Found[] {
  const ready = found.filter((one) => one.rank === 'ready')
  if (ready.length === 0) return usable(found)
  for (const hint of ['nodeHint', 'zoneHint'] as const) {
    const ours = ready.filter((one) => one[hint] === 'ours')
    if (ready.every((one) => one[hint] !== 'none') && ours.length > 0) return ours
  }
  return ready
}

interface Described {
  readonly service: RawService
  readonly kind: string
  readonly address: string
  readonly found: readonly Found[]
}

/** Those in the ranges of an address's family get in, as the dump words it; '': everybody. */
function describeRanges({ service, kind, address }: Described): string {
  const written = service.spec.loadBalancerSourceRanges
  if (written.length === 0 || kind === 'ClusterIP') return ''
  const isSix = address.includes(':')
  const known = ['203.0.113.0/24', '192.0.2.7/31', 'fd00::/16', '::/0', '10.0.0.0/8']
  const ranges = written.filter((one) => known.includes(one) && one.includes(':') === isSix)
  if (ranges.includes('::/0')) return ''
  // the address of a range is its first
  const texts = ranges.map((one) => one.replace('192.0.2.7', '192.0.2.6')).sort()
  return ` source-ranges=${texts.length === 0 ? 'none' : texts.join(',')}`
}

function isMaglev({ metadata }: RawService): boolean {
  const { annotations = {} } = metadata
  const ours = annotations['kube-shunt.io/load-balancing']
  return (ours ?? annotations['service.cilium.io/lb-algorithm']) === 'maglev'
}

/** The sets of a frontend as the dump words them. */
export function describeSets({ service, kind, address, found }: Described): string {
  const { spec } = service
  const isInside = kind === 'ClusterIP'
  const policy = isInside ? spec.internalTrafficPolicy : spec.externalTrafficPolicy
  const cluster = nearby(found)
  const local = policy === 'Local' ? usable(found.filter((one) => one.local)) : []
  const extra = local.filter((one) => !cluster.includes(one))
  const all = [...extra, ...cluster]
  const spares = found.filter((one) => one.rank !== 'dead' && !all.includes(one))
  const words: string[] = []
  if (policy === 'Local') words.push(isInside ? ' local-only' : ' external-local-only')
  if (isMaglev(service)) words.push(' maglev')
  if (spec.sessionAffinity === 'ClientIP') words.push(' affinity=10800s')
  words.push(describeRanges({ service, kind, address, found }))
  words.push(` backends=${list(isInside ? all : cluster)}`)
  if (!isInside && extra.length > 0) words.push(` external-only=${list(extra)}`)
  if (spares.length > 0) words.push(` spares=${list(spares)}`)
  return words.join('')
}

function list(some: readonly Found[]): string {
  if (some.length === 0) return 'none'
  return some
    .map((one) => `${one.text}${one.local ? '(local)' : ''}`)
    .sort()
    .join(',')
}
