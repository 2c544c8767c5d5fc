/*
 * From objects to frontends, a second time: slow, from the words of the specification, sharing
 * nothing with src/. Only for objects that the generators in world.ts make.
 */

export interface RawService {
  readonly metadata: {
    readonly namespace: string
    readonly name: string
    readonly uid: string
    readonly creationTimestamp: string
    readonly labels: Readonly<Record<string, string>>
  }
  readonly spec: {
    readonly clusterIPs: readonly string[]
    readonly internalTrafficPolicy: string
    readonly sessionAffinity: string
    readonly ports: readonly {
      readonly name: string
      readonly port: number
      readonly protocol: string
    }[]
  }
}

export interface RawEndpoint {
  readonly addresses: readonly string[]
  readonly nodeName: string
  readonly conditions: {
    readonly ready: boolean | null
    readonly serving: boolean | null
    readonly terminating: boolean | null
  }
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

interface Found {
  readonly text: string
  readonly local: boolean
  readonly rank: 'ready' | 'leaving' | 'serving' | 'dead'
}

/** The plain dump that the maps should give for these objects. */
export function expectedDump(services: readonly RawService[], slices: readonly RawSlice[]): string {
  const lines = new Set<string>()
  const taken = new Set<string>()
  for (const service of [...services].sort(byAge)) {
    const { namespace, name, labels } = service.metadata
    const isIgnored = Object.keys(labels).length > 0 || service.spec.clusterIPs[0] === 'None'
    if (isIgnored) continue
    for (const address of service.spec.clusterIPs) {
      if (!/^(10\.|fd)/.test(address)) continue
      for (const port of service.spec.ports) {
        const host = address.includes(':') ? `[${address}]` : address
        const key = `${host}:${port.port}/${port.protocol}`
        if (taken.has(key)) continue
        taken.add(key)
        const found = findEndpoints(service, address, port, slices)
        const text = `${namespace}/${name}${port.name === '' ? '' : `:${port.name}`}`
        lines.add(`VIP ${address}`)
        lines.add(`FRONTEND ${key} ClusterIP ${text}${describe(service, found)}`)
        for (const endpoint of found) {
          if (endpoint.rank === 'dead') continue
          lines.add(`BACKEND alive ${text}/${port.protocol} ${endpoint.text}`)
        }
      }
    }
  }
  return [...lines]
    .sort()
    .map((line) => `${line}\n`)
    .join('')
}

function byAge(a: RawService, b: RawService): number {
  const age = (service: RawService): string =>
    [service.metadata.creationTimestamp, service.metadata.uid, service.metadata.name].join(' ')
  return age(a) < age(b) ? -1 : 1
}

function findEndpoints(
  service: RawService,
  address: string,
  port: { readonly name: string; readonly protocol: string },
  slices: readonly RawSlice[],
): Found[] {
  const found: Found[] = []
  for (const slice of slices) {
    if (slice.metadata.namespace !== service.metadata.namespace) continue
    if (slice.metadata.labels['kubernetes.io/service-name'] !== service.metadata.name) continue
    if (slice.addressType !== (address.includes(':') ? 'IPv6' : 'IPv4')) continue
    const match = slice.ports.find((p) => p.name === port.name && p.protocol === port.protocol)
    for (const endpoint of match === undefined ? [] : slice.endpoints) {
      const at = endpoint.addresses[0]!
      const text = `${at.includes(':') ? `[${at}]` : at}:${match!.port}`
      found.push({ text, local: endpoint.nodeName === 'here', rank: rankOf(endpoint) })
    }
  }
  const order = ['ready', 'leaving', 'serving', 'dead']
  const best = new Map<string, Found>()
  for (const one of found) {
    const other = best.get(one.text)
    if (other === undefined || order.indexOf(one.rank) < order.indexOf(other.rank)) {
      best.set(one.text, one)
    }
  }
  return [...best.values()]
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

function describe(service: RawService, found: readonly Found[]): string {
  const isLocal = service.spec.internalTrafficPolicy === 'Local'
  const everywhere = usable(found)
  const here = usable(found.filter((one) => one.local))
  const set = isLocal ? [...here, ...everywhere.filter((one) => !one.local)] : everywhere
  const spares = found.filter((one) => one.rank !== 'dead' && !set.includes(one))
  const list = (some: readonly Found[]): string =>
    some.length === 0
      ? 'none'
      : some
          .map((one) => `${one.text}${one.local ? '(local)' : ''}`)
          .sort()
          .join(',')
  const words = [isLocal ? ' local-only' : '']
  if (service.spec.sessionAffinity === 'ClientIP') words.push(' affinity=10800s')
  words.push(` backends=${list(set)}`, spares.length > 0 ? ` spares=${list(spares)}` : '')
  return words.join('')
}
