import { frontendKey, network, networkLimits, uplink } from '../../src/datapath/abi.ts'
import { encodeKey } from '../../src/datapath/encode.ts'
import type { FrontendKey, Protocol } from '../../src/model/types.ts'
import type { FrontendText } from './harness.ts'

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

/** A key of `frontends`. */
export function keyBytes(key: FrontendKey): Buffer {
  const bytes = Buffer.alloc(frontendKey.size)
  encodeKey(bytes, 0, key)
  return bytes
}

/** The protocol of "address:port/PROTOCOL". */
export function protocolOf(frontend: FrontendText): Protocol {
  return frontend.split('/')[1] as Protocol // FrontendText has one
}
