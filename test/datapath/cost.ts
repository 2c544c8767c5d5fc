/**
 * What a packet costs: prints nanoseconds of each kind of packet above those of an empty program
 * on the same machine, and how much the verifier had to read. Not a test; run it by hand.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { flowFlag } from '../../src/datapath/abi.ts'
import { errnoOf } from '../../src/datapath/native-binding.ts'
import { programInfo } from '../../src/datapath/native-info.ts'
import { testRun } from '../../src/datapath/native-run.ts'
import { openObject } from '../../src/datapath/native.ts'
import { datapath, type Node } from './harness.ts'
import { frame, type PacketSpec } from './packet.ts'
import { keyOf, nowTicks } from './tables.ts'

const rounds = 60
const repeat = 20_000

const emptySource = `#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
SEC("tc") int empty(struct __sk_buff *skb) { return -1; }
char LICENSE[] SEC("license") = "Dual BSD/GPL";`

function loadEmpty(): number {
  const folder = mkdtempSync(join(tmpdir(), 'kube-shunt-cost-'))
  try {
    writeFileSync(join(folder, 'empty.c'), emptySource)
    const multiarch = execFileSync('cc', ['-print-multiarch'], { encoding: 'utf8' }).trim()
    const flags = ['-O2', '-g', '-target', 'bpf', `-I/usr/include/${multiarch}`]
    const path = join(folder, 'empty.o')
    execFileSync('clang', [...flags, '-c', join(folder, 'empty.c'), '-o', path])
    const object = openObject(path)
    object.load()
    return object.programFd('empty')
  } finally {
    rmSync(folder, { recursive: true })
  }
}

interface Case {
  readonly name: string
  readonly programFd: number
  readonly data: Buffer
}

/** A flow that rewrites a packet into itself, so that each repetition sees the same packet. */
function putIdentity(node: Node, spec: PacketSpec, flags: number, deltas: [number, number]): void {
  const key = keyOf(spec.from, spec.to, spec.tcp === undefined ? 'UDP' : 'TCP')
  const { saddr, daddr, sport, dport } = key
  node.tables.put('flows', key, {
    ...{ saddr, daddr, sport, dport },
    last_seen: nowTicks(),
    frontend: 0,
    backend: node.idOf('10.96.0.10:80/TCP', '10.244.1.5:8080'),
    backend_generation: 1,
    address_delta: deltas[0],
    port_delta: deltas[1],
    flags: flags | flowFlag.FLOW_REPLIED,
    dmac: [0, 0, 0, 0, 0, 0],
  })
}

function cases(node: Node): Case[] {
  const { ingress, egress } = node.programs
  const reverse = flowFlag.FLOW_REVERSE | flowFlag.FLOW_AT_EGRESS
  const ends = (client: string, vip: string): Pick<PacketSpec, 'from' | 'to'> => ({
    from: client,
    to: vip,
  })
  const v4 = { ...ends('10.9.0.1:1000', '10.96.0.9:80'), payload: 'hi' }
  const v6 = { ...ends('[fd00::1]:1000', '[fd00:96::9]:80'), payload: 'hi' }
  const back = { ...ends('10.9.0.2:80', '10.9.0.3:1000'), payload: 'hi' }
  const specs: [string, number, PacketSpec, [number, number] | undefined, number][] = [
    ['TCP v4, port changes', ingress, { ...v4, tcp: 'A' }, [0x1234, 0x4321], 0],
    ['TCP v4, port stays', ingress, { ...v4, from: '10.9.0.1:1001', tcp: 'A' }, [0x1234, 0], 0],
    ['TCP v4, reply', egress, { ...back, tcp: 'A' }, [0x1234, 0x4321], reverse],
    ['TCP v6, port changes', ingress, { ...v6, tcp: 'A' }, [0x1234, 0x4321], 0],
    ['UDP v4, port changes', ingress, { ...v4, udp: true }, [0x1234, 0x4321], 0],
    ['UDP v4, reply', egress, { ...back, udp: true }, [0x1234, 0x4321], reverse],
    ['TCP v4, not ours, from pod', ingress, { ...v4, to: '10.244.7.7:80', tcp: 'A' }, undefined, 0],
    [
      'TCP v4 SYN, not ours, from pod',
      ingress,
      { ...v4, to: '10.244.7.7:80', tcp: 'S' },
      undefined,
      0,
    ],
    [
      'UDP v4, not ours, from pod',
      ingress,
      { ...v4, to: '10.244.7.7:80', udp: true },
      undefined,
      0,
    ],
    ['TCP v4, not ours, to pod', egress, { ...v4, to: '10.244.7.7:80', tcp: 'A' }, undefined, 0],
    ['UDP v4, not ours, to pod', egress, { ...v4, to: '10.244.7.7:80', udp: true }, undefined, 0],
  ]
  return specs.map(([name, programFd, spec, deltas, flags]) => {
    if (deltas !== undefined) putIdentity(node, spec, flags, deltas)
    return { name, programFd, data: frame(spec) }
  })
}

/** Nanoseconds a run; a signal ends a long test run early, then it is repeated. */
function timeOf(programFd: number, data: Buffer): number {
  for (;;) {
    try {
      return testRun({ programFd, data, repeat }).duration
    } catch (error) {
      if (errnoOf(error) !== 'EINTR') throw error
    }
  }
}

const node = datapath({ services: { '10.96.0.10:80/TCP': ['10.244.1.5:8080'] } })
for (const fd of [node.programs.ingress, node.programs.egress]) {
  const { name, verifiedInstructions, translatedBytes, jitedBytes } = programInfo(fd)
  console.log(
    `${name}: the verifier read ${verifiedInstructions} instructions; ` +
      `${translatedBytes / 8} translated, ${jitedBytes} bytes of machine code`,
  )
}
const empty: Case = { name: 'empty program', programFd: loadEmpty(), data: Buffer.alloc(60) }
const times = new Map<string, number[]>()
for (let round = 0; round < rounds; round++) {
  for (const { name, programFd, data } of [empty, ...cases(node)]) {
    times.set(name, [...(times.get(name) ?? []), timeOf(programFd, data)])
  }
}
const least = (name: string): number => Math.min(...times.get(name)!)
const median = (name: string): number =>
  times.get(name)!.toSorted((a, b) => a - b)[Math.floor(rounds / 2)]!
for (const name of times.keys()) {
  const above = name === empty.name ? '' : `, ${least(name) - least(empty.name)} above empty`
  console.log(`${name}: ${least(name)} ns at best, median ${median(name)}${above}`)
}
