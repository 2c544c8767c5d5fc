import { join } from 'node:path'
import { pin, unpin, type BpfObject } from '../../src/datapath/native.ts'
import type { ClusterNode } from '../../test/cluster/types.ts'
import { compile } from '../compile.ts'

/** The NodePort and its only backend. */
export interface Port {
  readonly nodePort: number
  readonly backend: { readonly address: string; readonly port: number }
}

/** The least that netfilter can do: one translation, and kube-proxy's masquerading of marks. */
export function bestNetfilterRules(node: ClusterNode, { nodePort, backend }: Port): string {
  return `table ip nodeport {
    chain prerouting {
      type nat hook prerouting priority dstnat; policy accept;
      ip daddr ${node.addresses.IPv4} tcp dport ${nodePort} meta mark set meta mark | 0x4000 dnat to ${backend.address}:${backend.port}
    }
    ${masquerading}
  }`
}

/** Only what writes the source of marked packets. */
export const masqueradeRules = (): string => `table ip nodeport {\n${masquerading}\n}`

const masquerading = `chain postrouting {
  type nat hook postrouting priority srcnat; policy accept;
  meta mark & 0x4000 != 0 meta mark set meta mark ^ 0x4000 masquerade fully-random
}`

/** Attaches programs of ways.bpf.c to a node's uplink, by hook. */
export async function attachWay(
  node: ClusterNode,
  port: Port,
  programs: Readonly<Record<string, 'ingress' | 'egress'>>,
): Promise<void> {
  const object = compile(join(import.meta.dirname, 'ways.bpf.c'))
  try {
    object.setGlobal('node_address', addressBytes(node.addresses.IPv4))
    object.setGlobal('backend_address', addressBytes(port.backend.address))
    object.setGlobal('node_port', portBytes(port.nodePort))
    object.setGlobal('backend_port', portBytes(port.backend.port))
    object.load()
    await node.exec(['tc', 'qdisc', 'add', 'dev', node.uplink, 'clsact'])
    for (const [program, hook] of Object.entries(programs))
      await attach(node, object, { program, hook })
  } finally {
    object.close()
  }
}

async function attach(
  node: ClusterNode,
  object: BpfObject,
  { program, hook }: { readonly program: string; readonly hook: string },
): Promise<void> {
  const path = `/sys/fs/bpf/${node.netns}-${program}`
  pin(object.programFd(program), path)
  try {
    const filter = ['tc', 'filter', 'add', 'dev', node.uplink, hook, 'bpf', 'direct-action']
    await node.exec([...filter, 'object-pinned', path])
  } finally {
    unpin(path)
  }
}

function addressBytes(address: string): Uint8Array {
  return Uint8Array.from(address.split('.'), Number)
}

function portBytes(port: number): Uint8Array {
  return Uint8Array.of(port >> 8, port & 0xff)
}
