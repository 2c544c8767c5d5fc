import { canonicalAddress, canonicalRange, whyNotAddress } from '../model/address.ts'
import type { Node, Parsed } from '../model/types.ts'
import {
  deepProperty,
  isName,
  limited,
  listProperty,
  property,
  Refusals,
  shown,
  textProperty,
} from './parse-raw.ts'

const maxEntries = 256

/** A Node object as what the proxy asks of its node. */
export function parseNode(raw: unknown): Parsed<Node> {
  const metadata = property(raw, 'metadata')
  const name = textProperty(metadata, 'name')
  if (!isName(name, 253)) {
    const value = shown(property(metadata, 'name'))
    const refusal = { field: 'metadata.name', value, reason: 'is not a Node name' }
    return { kind: 'refused', name: '', refusals: [refusal] }
  }
  const refusals = new Refusals()
  const labels = readLabels(property(metadata, 'labels'))
  const deleted = property(metadata, 'deletionTimestamp')
  const value: Node = {
    name,
    uid: textProperty(metadata, 'uid').slice(0, 64),
    zone: labels.get('topology.kubernetes.io/zone') ?? '',
    addresses: readAddresses(raw, refusals),
    podCIDRs: readPodCIDRs(property(raw, 'spec'), refusals),
    labels,
    taints: readTaints(raw),
    deleting: deleted !== undefined && deleted !== null && deleted !== '',
  }
  return { kind: 'parsed', name, value, refusals: refusals.list }
}

function readLabels(raw: unknown): ReadonlyMap<string, string> {
  const labels = new Map<string, string>()
  if (typeof raw !== 'object' || raw === null) return labels
  for (const key of Object.keys(raw).slice(0, maxEntries)) {
    const value = property(raw, key)
    if (typeof value === 'string') labels.set(key, value)
  }
  return labels
}

/** Internal addresses first: the first of each family is what kube-proxy calls primary. */
function readAddresses(raw: unknown, refusals: Refusals): string[] {
  const list = listProperty(property(raw, 'status'), 'addresses')
  const internal = new Set<string>()
  const external = new Set<string>()
  for (const [at, entry] of limited(list, maxEntries, 'status.addresses', refusals).entries()) {
    const type = property(entry, 'type')
    if (type !== 'InternalIP' && type !== 'ExternalIP') continue
    const text = textProperty(entry, 'address')
    const address = canonicalAddress(text)
    const field = `status.addresses[${at}].address`
    if (address === undefined) refusals.add(field, text, whyNotAddress(text))
    else (type === 'InternalIP' ? internal : external).add(address)
  }
  return [...new Set([...internal, ...external])]
}

function readPodCIDRs(spec: unknown, refusals: Refusals): string[] {
  const list = listProperty(spec, 'podCIDRs')
  const only = property(spec, 'podCIDR')
  const given = list.length > 0 || only === undefined || only === null ? list : [only]
  const ranges = new Set<string>()
  for (const [at, value] of limited(given, maxEntries, 'spec.podCIDRs', refusals).entries()) {
    const range = typeof value === 'string' ? canonicalRange(value) : undefined
    if (range === undefined) {
      refusals.add(`spec.podCIDRs[${at}]`, value, 'is not an address range')
    } else ranges.add(range)
  }
  return [...ranges]
}

function readTaints(raw: unknown): string[] {
  const taints = listProperty(deepProperty(raw, 'spec'), 'taints').slice(0, maxEntries)
  return taints.map((taint) => textProperty(taint, 'key')).filter((key) => key !== '')
}
