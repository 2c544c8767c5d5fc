import ipaddr from 'ipaddr.js'
import { at, isObject, listAt, textAt } from './fields.ts'
import { StatusError } from './status.ts'
import type { KubeObject } from './types.ts'

type Family = 'IPv4' | 'IPv6'

/** Gives Services their addresses, node ports and defaults, as a real API server does. */
export class ServiceAddresses {
  readonly #ranges: readonly { family: Family; base: bigint; size: bigint }[]
  readonly #owners = new Map<string, string>()
  readonly #nextOffset = new Map<Family, bigint>()
  readonly #nodePorts = new Map<number, string>()
  #nextNodePort = 30_000

  constructor(cidrs: readonly string[]) {
    this.#ranges = cidrs.map((cidr) => {
      const [address, bits] = ipaddr.parseCIDR(cidr)
      const width = address.kind() === 'ipv4' ? 32 : 128
      return {
        family: address.kind() === 'ipv4' ? 'IPv4' : 'IPv6',
        base: toNumber(address),
        size: 1n << BigInt(Math.min(width - bits, 24)),
      }
    })
  }

  /** The Service with what its author left open; throws 422 for an address that is taken. */
  complete(service: KubeObject, previous: KubeObject | undefined, dryRun: boolean): KubeObject {
    const spec: Record<string, unknown> = isObject(service['spec']) ? { ...service['spec'] } : {}
    const next: KubeObject = { ...service, spec, status: service['status'] ?? { loadBalancer: {} } }
    spec['type'] ??= 'ClusterIP'
    spec['sessionAffinity'] ??= 'None'
    if (spec['type'] === 'ExternalName') return next
    spec['internalTrafficPolicy'] ??= 'Cluster'
    if (spec['type'] !== 'ClusterIP') spec['externalTrafficPolicy'] ??= 'Cluster'
    this.#completeClusterAddresses(next, spec, previous, dryRun)
    this.#completePorts(next, spec, previous, dryRun)
    return next
  }

  release(service: KubeObject): void {
    const owner = nameOf(service)
    for (const address of listAt(service, 'spec.clusterIPs').map(String))
      if (this.#owners.get(address) === owner) this.#owners.delete(address)
    for (const [port, one] of this.#nodePorts) if (one === owner) this.#nodePorts.delete(port)
  }

  #completeClusterAddresses(
    service: KubeObject,
    spec: Record<string, unknown>,
    previous: KubeObject | undefined,
    dryRun: boolean,
  ): void {
    if (spec['clusterIP'] === 'None') {
      spec['clusterIPs'] = ['None']
      return
    }
    const given = listAt(spec, 'clusterIPs').map(String)
    const first = textAt(spec, 'clusterIP')
    const wanted = given.length > 0 ? given : first === '' ? [] : [first]
    const kept = wanted.length > 0 ? wanted : listAt(previous, 'spec.clusterIPs').map(String)
    const addresses = kept.filter((one) => one !== 'None')
    const owner = nameOf(service)
    for (const family of this.#missingFamilies(spec, addresses))
      addresses.push(this.#allocate(family))
    if (!dryRun) {
      for (const address of addresses) this.#claim(address, owner)
      for (const old of listAt(previous, 'spec.clusterIPs').map(String))
        if (!addresses.includes(old)) this.#owners.delete(old)
    }
    spec['clusterIP'] = addresses[0] ?? 'None'
    spec['clusterIPs'] = addresses
    spec['ipFamilies'] = addresses.map(familyOf)
    spec['ipFamilyPolicy'] ??= addresses.length > 1 ? 'RequireDualStack' : 'SingleStack'
  }

  #missingFamilies(spec: Record<string, unknown>, have: readonly string[]): Family[] {
    const served = [...new Set(this.#ranges.map((range) => range.family))]
    const asked = (['IPv4', 'IPv6'] as const).filter((one) =>
      listAt(spec, 'ipFamilies').includes(one),
    )
    if (listAt(spec, 'ipFamilies')[0] === 'IPv6') asked.reverse()
    const dual = textAt(spec, 'ipFamilyPolicy').endsWith('DualStack')
    const [primary] = asked.length > 0 ? asked : have.length > 0 ? have.map(familyOf) : served
    const ordered = [...asked, ...(primary ? [primary] : []), ...(dual ? served : [])]
    const wanted = [...new Set(ordered)]
    return wanted.filter(
      (family) => served.includes(family) && !have.some((one) => familyOf(one) === family),
    )
  }

  #allocate(family: Family): string {
    const range = this.#ranges.find((one) => one.family === family)!
    let offset = this.#nextOffset.get(family) ?? 10n
    for (let tries = 0n; tries < range.size; tries++, offset++) {
      if (offset >= range.size - 1n) offset = 1n
      const address = fromNumber(range.base + offset, family)
      if (this.#owners.has(address)) continue
      this.#nextOffset.set(family, offset + 1n)
      return address
    }
    throw invalid('spec.clusterIPs', 'the range is full')
  }

  #claim(address: string, owner: string): void {
    const holder = this.#owners.get(address)
    if (holder !== undefined && holder !== owner)
      throw invalid('spec.clusterIPs', `${address}: provided IP is already allocated`)
    this.#owners.set(address, owner)
  }

  #completePorts(
    service: KubeObject,
    spec: Record<string, unknown>,
    previous: KubeObject | undefined,
    dryRun: boolean,
  ): void {
    const exposed = spec['type'] === 'NodePort' || spec['type'] === 'LoadBalancer'
    const needsNodePort = exposed && spec['allocateLoadBalancerNodePorts'] !== false
    const owner = nameOf(service)
    spec['ports'] = listAt(spec, 'ports').map((raw) => {
      const port: Record<string, unknown> = isObject(raw) ? { ...raw } : {}
      port['protocol'] ??= 'TCP'
      port['targetPort'] ??= port['port']
      const before = listAt(previous, 'spec.ports').find(
        (one) => at(one, 'port') === port['port'] && at(one, 'protocol') === port['protocol'],
      )
      if (needsNodePort)
        port['nodePort'] ??= at(before, 'nodePort') ?? this.#nodePort(owner, dryRun)
      if (typeof port['nodePort'] === 'number') this.#nodePorts.set(port['nodePort'], owner)
      return port
    })
    if (spec['type'] === 'LoadBalancer' && spec['externalTrafficPolicy'] === 'Local')
      spec['healthCheckNodePort'] ??=
        at(previous, 'spec.healthCheckNodePort') ?? this.#nodePort(owner, dryRun)
  }

  #nodePort(owner: string, dryRun: boolean): number {
    for (let tries = 0; tries < 2768; tries++) {
      const port = this.#nextNodePort
      this.#nextNodePort = port >= 32_767 ? 30_000 : port + 1
      if (this.#nodePorts.has(port)) continue
      if (!dryRun) this.#nodePorts.set(port, owner)
      return port
    }
    throw invalid('spec.ports', 'every node port is allocated')
  }
}

function nameOf(service: KubeObject): string {
  return `${service.metadata.namespace ?? 'default'}/${service.metadata.name}`
}

function familyOf(address: string): Family {
  return address.includes(':') ? 'IPv6' : 'IPv4'
}

function toNumber(address: ipaddr.IPv4 | ipaddr.IPv6): bigint {
  return address.toByteArray().reduce((sum, byte) => sum * 256n + BigInt(byte), 0n)
}

function fromNumber(value: bigint, family: Family): string {
  const length = family === 'IPv4' ? 4 : 16
  const bytes = Array.from({ length }, (_, index) =>
    Number((value >> BigInt(8 * (length - 1 - index))) & 255n),
  )
  const address = ipaddr.fromByteArray(bytes)
  return address.kind() === 'ipv6' ? (address as ipaddr.IPv6).toRFC5952String() : address.toString()
}

function invalid(field: string, message: string): StatusError {
  return new StatusError(422, 'Invalid', `Service is invalid: ${field}: Invalid value: ${message}`)
}
