import { chainHash } from './iptables-rules.ts'
import { servicePortName, type BenchService } from './services.ts'

/*
 * What kube-proxy 1.36 in mode nftables writes for ClusterIP Services with endpoints, of IPv4:
 * sets, verdict maps and chains as in a dump of a running one, comments of sets left out.
 */

const podNetwork = '10.244.0.0/16'
const serviceNetwork = '10.96.0.0/12'

/** The node whose rules these are. */
interface OwnNode {
  readonly name: string
  readonly address: string
}

/** Input for `nft -f`. */
export function nftablesRules(services: readonly BenchService[], node: OwnNode): string {
  return [
    'table ip kube-proxy {',
    'comment "rules for kube-proxy"',
    ...sets(services, node),
    ...hooks,
    ...checks,
    ...services.map(serviceChain),
    '}',
    '',
  ].join('\n')
}

function sets(services: readonly BenchService[], node: OwnNode): string[] {
  const clusterIps = services.map(({ clusterIp }) => clusterIp)
  const verdicts = services.map(
    (service) => `${service.clusterIp} . tcp . ${service.port} : goto ${chainName(service)}`,
  )
  const hairpins = services.flatMap(({ endpoints }) =>
    endpoints
      .filter(({ nodeName }) => nodeName === node.name) // only a local pod can get itself here
      .map(({ address, port }) => `${address} . ${address} . tcp . ${port}`),
  )
  const service = 'type ipv4_addr . inet_proto . inet_service'
  return [
    set(
      'set hairpin-connections',
      'type ipv4_addr . ipv4_addr . inet_proto . inet_service',
      hairpins,
    ),
    set('set cluster-ips', 'type ipv4_addr', clusterIps),
    set('set nodeport-ips', 'type ipv4_addr', [node.address]),
    set('map no-endpoint-services', `${service} : verdict`, []),
    set('map no-endpoint-nodeports', 'type inet_proto . inet_service : verdict', []),
    set('map firewall-ips', `${service} : verdict`, []),
    set('map service-ips', `${service} : verdict`, verdicts),
    set('map service-nodeports', 'type inet_proto . inet_service : verdict', []),
  ]
}

function set(name: string, type: string, elements: readonly string[]): string {
  const filled = elements.length === 0 ? '' : `elements = { ${elements.join(', ')} }`
  return `${name} {\n${type}\n${filled}\n}`
}

/** Base chains: where packets enter, and in which order. */
const hooks = [
  chain('filter-prerouting-pre-dnat', [
    'type filter hook prerouting priority dstnat - 10; policy accept;',
    'ct state new jump firewall-check',
  ]),
  chain('filter-output-pre-dnat', [
    'type filter hook output priority -110; policy accept;',
    'ct state new jump firewall-check',
  ]),
  chain('filter-input', [
    'type filter hook input priority filter; policy accept;',
    'ct state new jump nodeport-endpoints-check',
    'ct state new jump service-endpoints-check',
  ]),
  ...['forward', 'output'].map((hook) =>
    chain(`filter-${hook}`, [
      `type filter hook ${hook} priority filter; policy accept;`,
      'ct state new jump service-endpoints-check',
      'ct state new jump cluster-ips-check',
    ]),
  ),
  chain('nat-prerouting', [
    'type nat hook prerouting priority dstnat; policy accept;',
    'jump services',
  ]),
  chain('nat-output', ['type nat hook output priority -100; policy accept;', 'jump services']),
  chain('nat-postrouting', [
    'type nat hook postrouting priority srcnat; policy accept;',
    'jump masquerading',
  ]),
]

const checks = [
  chain('nodeport-endpoints-check', [
    'ip daddr @nodeport-ips meta l4proto . th dport vmap @no-endpoint-nodeports',
  ]),
  chain('service-endpoints-check', [
    'ip daddr . meta l4proto . th dport vmap @no-endpoint-services',
  ]),
  chain('firewall-check', ['ip daddr . meta l4proto . th dport vmap @firewall-ips']),
  chain('services', [
    `ip daddr @cluster-ips ip saddr != ${podNetwork} meta mark set meta mark | 0x4000`,
    'ip daddr . meta l4proto . th dport vmap @service-ips',
    'ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports',
  ]),
  chain('masquerading', [
    'meta mark & 0x4000 != 0 meta mark set meta mark ^ 0x4000 masquerade fully-random',
    'ct status dnat ip saddr . ip daddr . meta l4proto . th dport @hairpin-connections ' +
      'masquerade fully-random',
  ]),
  chain('cluster-ips-check', [
    'ip daddr @cluster-ips reject comment "Reject traffic to invalid ports of ClusterIPs"',
    `ip daddr ${serviceNetwork} drop comment "Drop traffic to unallocated ClusterIPs"`,
  ]),
]

function chain(name: string, rules: readonly string[]): string {
  return `chain ${name} {\n${rules.join('\n')}\n}`
}

function serviceChain(service: BenchService): string {
  const { endpoints } = service
  const choices = endpoints.map(({ address, port }, at) => `${at} : ${address} . ${port}`)
  const pick = `numgen random mod ${endpoints.length} map { ${choices.join(', ')} }`
  return chain(chainName(service), [`meta l4proto tcp dnat ip to ${pick}`])
}

function chainName(service: BenchService): string {
  const { namespace, name, portName } = service
  const hash = chainHash(servicePortName(service)).slice(0, 8)
  return `service-${hash}-${namespace}/${name}/tcp/${portName}`
}
