import type { ClusterOptions, Family } from './types.ts'

/** Kernel settings of a pod: addresses work at once, and local ports come back after a second. */
export function podSettings(families: readonly Family[]): string[] {
  return [...ipv6Settings(families), 'ipv4/tcp_tw_reuse=1']
}

/** Kernel settings of a node: it routes, filters reverse paths as asked, and so with bridges. */
export function nodeSettings(families: readonly Family[], options: ClusterOptions): string[] {
  const filter = { off: 0, strict: 1, loose: 2 }[options.rpFilter ?? 'off']
  const bridged = options.bridgeNetfilter ? 1 : 0
  return [
    ...ipv6Settings(families),
    ...forwardingSettings(families),
    `ipv4/conf/all/rp_filter=${filter}`,
    `ipv4/conf/default/rp_filter=${filter}`,
    `bridge/bridge-nf-call-iptables=${bridged}`,
    `bridge/bridge-nf-call-ip6tables=${bridged}`,
  ]
}

/** Kernel settings of a machine that may be answered by another way than it asked. */
export function outsideSettings(families: readonly Family[]): string[] {
  return [...podSettings(families), 'ipv4/conf/all/rp_filter=0', 'ipv4/conf/default/rp_filter=0']
}

/** Kernel settings of anything that routes. */
export function forwardingSettings(families: readonly Family[]): string[] {
  return families.includes('IPv6')
    ? ['ipv4/ip_forward=1', 'ipv6/conf/all/forwarding=1', 'ipv6/conf/default/forwarding=1']
    : ['ipv4/ip_forward=1']
}

/** IPv6 without waiting for duplicate address detection or routers, or no IPv6 at all. */
export function ipv6Settings(families: readonly Family[]): string[] {
  if (!families.includes('IPv6'))
    return ['ipv6/conf/all/disable_ipv6=1', 'ipv6/conf/default/disable_ipv6=1']
  return ['accept_dad=0', 'accept_ra=0', 'router_solicitations=0'].flatMap((setting) => [
    `ipv6/conf/all/${setting}`,
    `ipv6/conf/default/${setting}`,
  ])
}
