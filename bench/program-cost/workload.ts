import type { Node } from '../../test/datapath/harness.ts'
import { nowTicks, type Counts } from '../../test/datapath/tables.ts'

/** Something the program does again and again. */
export interface Workload {
  readonly name: string
  /** Flows that take turns. */
  readonly flows: number
  /** What its time is compared with: the empty program, or that behind turn(). */
  readonly floor: 'empty' | 'turned empty' | 'turned empty XDP'
  /** Mean nanoseconds of one run; undefined: the round does not count. */
  readonly measure: () => number | undefined
}

/** Runs right after the clock of the flow tables has moved on. */
export function afterTick<Result>(run: () => Result): Result {
  const tick = nowTicks()
  while (nowTicks() === tick);
  return run()
}

/** Once a second a flow is refreshed, and an identity's lost half rebuilt: that may be seen. */
const strayPackets = 10

/** Refuses a time whose packets went another way than meant. */
export function counted(node: Node, expected: Counts, run: () => number): number {
  node.counted()
  const nanoseconds = run()
  const moved = node.counted()
  for (const name of new Set([...Object.keys(expected), ...Object.keys(moved)])) {
    const counter = name as keyof Counts
    const [wanted, seen] = [expected[counter] ?? 0, moved[counter] ?? 0]
    if (wanted === 0 ? seen > strayPackets : seen !== wanted)
      throw new Error(`packets went another way: ${counter} moved by ${seen}, not by ${wanted}`)
  }
  return nanoseconds
}
