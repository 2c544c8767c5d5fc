import { setTimeout as wait } from 'node:timers/promises'
import type { ClusterNode } from '../cluster/types.ts'

/** A probe under way. */
export interface Probing {
  /** Ends it; the longest time without a 200, in milliseconds. */
  stop(): Promise<number>
}

/** Asks a node's health server again and again, as kubelet does, only more often. */
export function watchProbe(node: ClusterNode, path: string): Probing {
  const ending = new AbortController()
  const url = `http://127.0.0.1:10256${path}`
  const command = ['curl', '--silent', '--output', '/dev/null', '--fail', '--max-time', '1', url]
  const ask = async (): Promise<number> => {
    let last = performance.now()
    let longest = 0
    while (!ending.signal.aborted) {
      const { code } = await node.exec(command, { mayFail: true })
      const now = performance.now()
      longest = Math.max(longest, now - last)
      if (code === 0) last = now
      await wait(50)
    }
    return Math.round(longest)
  }
  const asking = ask()
  return {
    stop() {
      ending.abort()
      return asking
    },
  }
}
