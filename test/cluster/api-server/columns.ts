import { at, listAt, textAt } from './fields.ts'
import type { Column, KubeObject } from './types.ts'

const name: Column = { name: 'Name', cell: (object) => object.metadata.name }
const age: Column = {
  name: 'Age',
  cell: (object) => since(object.metadata.creationTimestamp ?? ''),
}

/** What `kubectl get` shows, by plural name. */
export const columns: Readonly<Record<string, readonly Column[]>> = {
  services: [
    name,
    { name: 'Type', cell: (object) => textAt(object, 'spec.type') },
    { name: 'Cluster-IP', cell: (object) => textAt(object, 'spec.clusterIP') || '<none>' },
    { name: 'External-IP', cell: externalAddresses },
    { name: 'Port(s)', cell: servicePorts },
    age,
    { name: 'Selector', wide: true, cell: (object) => pairs(at(object, 'spec.selector')) },
  ],
  endpointslices: [
    name,
    { name: 'AddressType', cell: (object) => textAt(object, 'addressType') },
    { name: 'Ports', cell: (object) => join(listAt(object, 'ports').map(port)) },
    {
      name: 'Endpoints',
      cell: (object) =>
        join(listAt(object, 'endpoints').flatMap((one) => listAt(one, 'addresses'))),
    },
    age,
  ],
  nodes: [
    name,
    { name: 'Status', cell: nodeStatus },
    { name: 'Roles', cell: () => '<none>' },
    age,
    { name: 'Version', cell: (object) => textAt(object, 'status.nodeInfo.kubeletVersion') },
  ],
  namespaces: [name, { name: 'Status', cell: () => 'Active' }, age],
  configmaps: [
    name,
    { name: 'Data', cell: (object) => Object.keys(at(object, 'data') ?? {}).length },
    age,
  ],
  events: [
    { name: 'Last Seen', cell: (object) => since(lastSeen(object)) },
    { name: 'Type', cell: (object) => textAt(object, 'type') },
    { name: 'Reason', cell: (object) => textAt(object, 'reason') },
    { name: 'Object', cell: eventObject },
    { name: 'Message', cell: (object) => textAt(object, 'message') || textAt(object, 'note') },
    { name: 'Name', wide: true, cell: name.cell },
  ],
  servicecidrs: [
    name,
    { name: 'CIDRs', cell: (object) => join(listAt(object, 'spec.cidrs')) },
    age,
  ],
  leases: [name, { name: 'Holder', cell: (object) => textAt(object, 'spec.holderIdentity') }, age],
}

function join(values: readonly unknown[]): string {
  const shown = values.slice(0, 3).map(String)
  if (shown.length === 0) return '<none>'
  const more = values.length - shown.length
  return shown.join(',') + (more > 0 ? ` + ${more} more...` : '')
}

function port(value: unknown): string {
  return textAt(value, 'port') || '*'
}

function pairs(value: unknown): string {
  const entries = Object.entries(value ?? {}).map(([key, one]) => `${key}=${String(one)}`)
  return entries.join(',') || '<none>'
}

function servicePorts(object: KubeObject): string {
  const ports = listAt(object, 'spec.ports').map((one) => {
    const nodePort = textAt(one, 'nodePort')
    return `${port(one)}${nodePort && `:${nodePort}`}/${textAt(one, 'protocol') || 'TCP'}`
  })
  return ports.join(',') || '<none>'
}

function externalAddresses(object: KubeObject): string {
  const ingress = listAt(object, 'status.loadBalancer.ingress').map((one) => textAt(one, 'ip'))
  const all = [...ingress, ...listAt(object, 'spec.externalIPs').map(String)]
  if (textAt(object, 'spec.type') === 'LoadBalancer' && all.length === 0) return '<pending>'
  return all.join(',') || '<none>'
}

function nodeStatus(object: KubeObject): string {
  const ready = listAt(object, 'status.conditions').find((one) => textAt(one, 'type') === 'Ready')
  if (!ready) return 'Unknown'
  return textAt(ready, 'status') === 'True' ? 'Ready' : 'NotReady'
}

function eventObject(object: KubeObject): string {
  const about = at(object, 'involvedObject') ?? at(object, 'regarding')
  return `${textAt(about, 'kind').toLowerCase()}/${textAt(about, 'name')}`
}

function lastSeen(object: KubeObject): string {
  const times = ['lastTimestamp', 'eventTime', 'metadata.creationTimestamp']
  return times.map((field) => textAt(object, field)).find((text) => text !== '') ?? ''
}

function since(time: string): string {
  const seconds = Math.floor((Date.now() - Date.parse(time)) / 1000)
  if (!Number.isFinite(seconds)) return '<unknown>'
  if (seconds < 120) return `${Math.max(0, seconds)}s`
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`
}
