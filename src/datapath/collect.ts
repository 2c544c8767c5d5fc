import { collectReport } from './abi.ts'
import { testRunAsync } from './native-run.ts'

/** What one sweep of the flow tables found. */
export interface CollectReport {
  /** Flows that have seen a reply. */
  readonly flows: number
  readonly halfOpen: number
  /** Entries removed; a flow has two. */
  readonly expired: number
  readonly entries: number
  readonly milliseconds: number
}

/** Removes expired flows in the kernel, on a worker thread, and counts the living. */
export async function collect(programFd: number): Promise<CollectReport> {
  const run = await testRunAsync({ programFd, data: Buffer.alloc(64) })
  const { flows, half_open, expired, entries } = collectReport.parse(run.data)
  return { flows, halfOpen: half_open, expired, entries, milliseconds: run.duration / 1e6 }
}
