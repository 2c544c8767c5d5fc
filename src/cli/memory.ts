import { totalmem } from 'node:os'

/** Bytes this process may use: the node's memory, or its cgroup's limit where that is less. */
export function usableMemory(): number {
  const limit = process.constrainedMemory()
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem()
}

const bytesPerFlow = 16 * 1024
const fewestFlows = 262_144
const mostFlows = 1_048_576

/** Entries of the flow table that suit this much memory: a power of two, so that it keeps. */
export function flowEntriesFor(bytes: number): number {
  const wanted = 2 ** Math.floor(Math.log2(Math.max(1, bytes / bytesPerFlow)))
  return Math.min(mostFlows, Math.max(fewestFlows, wanted))
}

/** Entries for flows without a reply: a flood needs no more, and may not outweigh the rest. */
export function halfOpenEntriesFor(flowEntries: number): number {
  return Math.min(65_536, Math.max(1024, flowEntries))
}
