import { network, networkLimits, uplink } from '../../src/datapath/abi.ts'

/** An entry of `uplinks`. */
export function uplinkBytes(addresses: { addr4?: string; addr6?: string }): Buffer {
  const bytes = Buffer.alloc(uplink.size)
  uplink.format(bytes, { addr4: '::', addr6: '::', ...addresses })
  return bytes
}

/** What `network` holds; ranges as [base, mask]. */
export function networkBytes(
  ports: readonly number[],
  ranges: readonly (readonly [base: string, mask: string])[],
  exempt = 0,
): Buffer {
  const bytes = Buffer.alloc(network.size)
  network.format(bytes, {
    tunnel_ports: Array.from({ length: networkLimits.tunnelPorts }, (_, at) => ports[at] ?? 0),
    range_count: ranges.length,
    exempt_count: exempt,
    service_ranges: Array.from({ length: networkLimits.serviceRanges }, (_, at) => {
      const [base, mask] = ranges[at] ?? ['::', '::']
      return { base, mask }
    }),
  })
  return bytes
}
