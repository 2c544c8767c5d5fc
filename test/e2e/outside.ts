import { startEchoServer } from '../cluster/traffic.ts'
import type { Cluster } from '../cluster/types.ts'
import { vipPort } from './serving.ts'

/** Who answers at addresses that the agents leave alone. */
export const outside = 'outside'

/**
 * Has the router answer, on the ports of Services, for these ranges: whatever a node sends out
 * untranslated gets there. Pods need `masquerade` to hear the answer.
 */
export async function answerOutside({ lan }: Cluster, ranges: readonly string[]): Promise<void> {
  for (const range of ranges) await lan.exec(['ip', 'route', 'add', 'local', range, 'dev', 'lo'])
  /* For the source address of answers to datagrams. */
  await lan.exec(['sysctl', '-qw', 'net.ipv6.ip_nonlocal_bind=1'])
  await startEchoServer(lan, [vipPort, vipPort + 1], { name: outside })
}
