import { createHash } from 'node:crypto'
import { servicePortName, type BenchEndpoint, type BenchService } from './services.ts'

/*
 * What kube-proxy 1.36 in mode iptables writes for ClusterIP Services with endpoints: chains,
 * jumps and matches as in a dump of a running one, in the order of its tables. Left out: the
 * nfacct counter of the rule that drops invalid packets.
 */

const podNetwork = '10.244.0.0/16'

/** Input for iptables-restore of all three tables. */
export function iptablesRules(services: readonly BenchService[]): string {
  return [...filterTable(), ...mangleTable(), ...natTable(services)].join('\n') + '\n'
}

function filterTable(): string[] {
  const isNew = '-m conntrack --ctstate NEW'
  const comment = (text: string): string => `-m comment --comment "kubernetes ${text}"`
  const firewall = `${isNew} ${comment('load balancer firewall')} -j KUBE-PROXY-FIREWALL`
  const portals = `${isNew} ${comment('service portals')} -j KUBE-SERVICES`
  const external = `${isNew} ${comment('externally-visible service portals')} -j KUBE-EXTERNAL-SERVICES`
  return [
    '*filter',
    ...chains(['EXTERNAL-SERVICES', 'FIREWALL', 'FORWARD', 'NODEPORTS', 'PROXY-CANARY']),
    ...chains(['PROXY-FIREWALL', 'SERVICES']),
    '-A INPUT -j KUBE-FIREWALL',
    `-A INPUT ${firewall}`,
    `-A INPUT ${comment('health check service ports')} -j KUBE-NODEPORTS`,
    `-A INPUT ${external}`,
    `-A FORWARD ${firewall}`,
    `-A FORWARD ${comment('forwarding rules')} -j KUBE-FORWARD`,
    `-A FORWARD ${portals}`,
    `-A FORWARD ${external}`,
    '-A OUTPUT -j KUBE-FIREWALL',
    `-A OUTPUT ${firewall}`,
    `-A OUTPUT ${portals}`,
    '-A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 ' +
      '-m comment --comment "block incoming localnet connections" ' +
      '-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP',
    '-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP',
    `-A KUBE-FORWARD ${comment('forwarding rules')} -m mark --mark 0x4000/0x4000 -j ACCEPT`,
    `-A KUBE-FORWARD ${comment('forwarding conntrack rule')} ` +
      '-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    'COMMIT',
  ]
}

function mangleTable(): string[] {
  return ['*mangle', ...chains(['PROXY-CANARY']), 'COMMIT']
}

function natTable(services: readonly BenchService[]): string[] {
  const comment = (text: string): string => `-m comment --comment "kubernetes ${text}"`
  return [
    '*nat',
    ...chains(['MARK-MASQ', 'NODEPORTS', 'POSTROUTING', 'PROXY-CANARY', 'SERVICES']),
    ...services.flatMap((service) => [
      ...service.endpoints.map((endpoint) => `:${endpointChain(service, endpoint)} - [0:0]`),
      `:${serviceChain(service)} - [0:0]`,
    ]),
    `-A PREROUTING ${comment('service portals')} -j KUBE-SERVICES`,
    `-A OUTPUT ${comment('service portals')} -j KUBE-SERVICES`,
    `-A POSTROUTING ${comment('postrouting rules')} -j KUBE-POSTROUTING`,
    '-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000',
    '-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN',
    '-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0',
    `-A KUBE-POSTROUTING ${comment('service traffic requiring SNAT')} -j MASQUERADE --random-fully`,
    ...services.flatMap(endpointRules),
    ...services.map(
      (service) =>
        `-A KUBE-SERVICES ${destination(service, 'cluster IP')} -j ${serviceChain(service)}`,
    ),
    `-A KUBE-SERVICES ${comment('service nodeports; NOTE: this must be the last rule in this chain')} ` +
      '-m addrtype --dst-type LOCAL -j KUBE-NODEPORTS',
    ...services.flatMap(serviceRules),
    'COMMIT',
  ]
}

function chains(names: readonly string[]): string[] {
  return names.map((name) => `:KUBE-${name} - [0:0]`)
}

function destination(service: BenchService, what: string): string {
  const about = `"${servicePortName(service)} ${what}"`
  return `-d ${service.clusterIp}/32 -p tcp -m comment --comment ${about} -m tcp --dport ${service.port}`
}

function endpointRules(service: BenchService): string[] {
  const comment = `-m comment --comment "${servicePortName(service)}"`
  return service.endpoints.flatMap((endpoint) => {
    const chain = endpointChain(service, endpoint)
    const to = `${endpoint.address}:${endpoint.port}`
    return [
      `-A ${chain} -s ${endpoint.address}/32 ${comment} -j KUBE-MARK-MASQ`,
      `-A ${chain} -p tcp ${comment} -m tcp -j DNAT --to-destination ${to}`,
    ]
  })
}

/** Endpoint i of n is taken with probability 1 / (n - i): all alike in the end. */
function serviceRules(service: BenchService): string[] {
  const chain = serviceChain(service)
  const count = service.endpoints.length
  return [
    `-A ${chain} ! -s ${podNetwork} ${destination(service, 'cluster IP')} -j KUBE-MARK-MASQ`,
    ...service.endpoints.map((endpoint, at) => {
      const arrow = `${servicePortName(service)} -> ${endpoint.address}:${endpoint.port}`
      const share = (1 / (count - at)).toFixed(11)
      const random = at === count - 1 ? '' : `-m statistic --mode random --probability ${share} `
      const to = endpointChain(service, endpoint)
      return `-A ${chain} -m comment --comment "${arrow}" ${random}-j ${to}`
    }),
  ]
}

function serviceChain(service: BenchService): string {
  return `KUBE-SVC-${chainHash(`${servicePortName(service)}tcp`)}`
}

function endpointChain(service: BenchService, { address, port }: BenchEndpoint): string {
  return `KUBE-SEP-${chainHash(`${servicePortName(service)}tcp${address}:${port}`)}`
}

/** The first 16 base32 letters of a SHA-256. */
export function chainHash(text: string): string {
  return base32(createHash('sha256').update(text).digest()).slice(0, 16)
}

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

function base32(bytes: Buffer): string {
  let text = ''
  for (let bit = 0; bit + 5 <= bytes.length * 8; bit += 5) {
    const at = bit >> 3
    const two = (bytes[at]! << 8) | (bytes[at + 1] ?? 0)
    text += letters[(two >> (11 - (bit & 7))) & 31]!
  }
  return text
}
