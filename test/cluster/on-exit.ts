import { removeCluster } from './removal.ts'
import type { ClusterRecord } from './record.ts'

const open = new Set<ClusterRecord>()
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
let listening = false

/** Removes the cluster when this process exits, throws or is told to end before close(). */
export function removeOnExit(record: ClusterRecord): void {
  open.add(record)
  if (listening) return
  listening = true
  process.on('exit', removeAll)
  for (const signal of signals) process.on(signal, onSignal)
}

/** The cluster is closed: nothing is left to do at exit. */
export function keepOnExit(record: ClusterRecord): void {
  open.delete(record)
  if (open.size > 0) return
  listening = false
  process.off('exit', removeAll)
  for (const signal of signals) process.off(signal, onSignal)
}

function removeAll(): void {
  for (const record of open) removeCluster(record)
  open.clear()
}

/** Someone else's handler may still want to finish; without one the signal ends us as usual. */
function onSignal(signal: NodeJS.Signals): void {
  removeAll()
  process.off(signal, onSignal)
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal)
}
