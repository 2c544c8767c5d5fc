/*
 * From objects to frontends, a second time: slow, from the words of the specification, sharing
 * nothing with src/. Only for objects that the generators in world.ts make.
 */
import { hostText, type RawPort, type RawService, type World } from './raw-objects.ts'
import { describeSets, findEndpoints } from './reference-endpoints.ts'

/** The plain dump that the maps should give for these objects. */
export function expectedDump(world: World): string {
  const lines = new Set<string>()
  const taken = new Set<string>()
  const vips = vipsOf(world)
  for (const service of [...world.services].sort(byAge)) {
    if (isIgnored(service)) continue
    for (const port of service.spec.ports) {
      for (const { kind, address, number, owned } of frontendsOf(service, port, world)) {
        const key = `${hostText(address)}:${number}/${port.protocol}`
        if (taken.has(key)) continue
        taken.add(key)
        const { namespace, name } = service.metadata
        const found = findEndpoints({ service, port, address, world, vips })
        const sets = describeSets({ service, kind, address, found })
        const text = `${namespace}/${name}${port.name === '' ? '' : `:${port.name}`}`
        if (owned) lines.add(`VIP ${address}`)
        lines.add(`FRONTEND ${key} ${kind} ${text}${sets}`)
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

function isIgnored(service: RawService): boolean {
  return Object.keys(service.metadata.labels).length > 0 || service.spec.clusterIPs[0] === 'None'
}

function vipsOf({ services }: World): Map<string, string[]> {
  const vips = new Map<string, string[]>()
  for (const service of services) {
    if (isIgnored(service)) continue
    for (const address of service.spec.clusterIPs) {
      vips.set(address, [...(vips.get(address) ?? []), service.metadata.name])
    }
  }
  return vips
}

interface Wanted {
  readonly kind: string
  readonly address: string
  readonly number: number
  /** Its other ports are ours as well. */
  readonly owned: boolean
}

/** A Service lives in the families of its cluster IPs. */
function frontendsOf(service: RawService, port: RawPort, world: World): Wanted[] {
  const vips = service.spec.clusterIPs.filter((address) => /^(10\.|fd)/.test(address))
  return allFrontends(service, port, world).filter(({ address }) =>
    vips.some((vip) => isSix(vip) === isSix(address)),
  )
}

function allFrontends(service: RawService, port: RawPort, world: World): Wanted[] {
  const { spec } = service
  const wanted: Wanted[] = []
  const node = nodeAddresses(world)
  const local = [...node, ...world.interfaceAddresses]
  const list = (kind: string, addresses: readonly string[]): void => {
    // one address on an interface here keeps those of its family from being taken over
    for (const address of addresses) {
      const isHere = addresses.some((at) => isSix(at) === isSix(address) && local.includes(at))
      wanted.push({ kind, address, number: port.port, owned: !isHere })
    }
  }
  const unused = (addresses: readonly string[]): string[] =>
    addresses.filter((address) => !local.includes(address))
  const isOpen = (address: string): boolean => !isProtected(service, address, world)
  const vips = spec.clusterIPs.filter((address) => /^(10\.|fd)/.test(address))
  list(
    'ClusterIP',
    unused(vips).filter((address) => !isOfPods(address, world)),
  )
  list(
    'LoadBalancer',
    balancedAddresses(service).filter((at) => !node.includes(at) && isOpen(at)),
  )
  list(
    'ExternalIP',
    unused(spec.externalIPs).filter((at) => at.startsWith('192.0.2.') && isOpen(at)),
  )
  if (spec.type === 'ClusterIP' || port.nodePort < 1024) return wanted
  for (const six of [false, true]) {
    const address = node.find((one) => isSix(one) === six)
    if (address === undefined) continue
    wanted.push({ kind: 'NodePort', address, number: port.nodePort, owned: false })
  }
  return wanted
}

function isSix(address: string): boolean {
  return address.includes(':')
}

function nodeAddresses({ node }: World): string[] {
  const list = node?.status.addresses ?? []
  const ofType = (type: string): string[] =>
    list.filter((one) => one.type === type).map((one) => one.address)
  return [...ofType('InternalIP'), ...ofType('ExternalIP')]
}

function balancedAddresses({ spec, status }: RawService): string[] {
  if (spec.type !== 'LoadBalancer') return []
  const ours = status.loadBalancer.ingress.filter(({ ipMode }) => ipMode !== 'Proxy')
  return [...new Set(ours.map(({ ip }) => ip))]
}

/** A cluster IP of another Service, or an address of this node's pods. */
function isProtected(service: RawService, address: string, world: World): boolean {
  const owners = vipsOf(world).get(address) ?? []
  if (owners.some((name) => name !== service.metadata.name)) return true
  return isOfPods(address, world)
}

function isOfPods(address: string, { node }: World): boolean {
  return node !== undefined && address.startsWith('10.1.')
}
