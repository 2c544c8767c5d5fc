/** Numbers below `limit` to give away; 0 is never given, so that zeroed memory names nothing. */
export interface NumberPool {
  readonly limit: number
  /** Numbers from here on were never taken. */
  next: number
  readonly free: number[]
}

/** A pool of which no number is taken yet. */
export function createNumberPool(limit: number): NumberPool {
  return { limit, next: 1, free: [] }
}

/** A number nobody has, or undefined when all are taken. */
export function takeNumber(pool: NumberPool): number | undefined {
  if (pool.free.length > 0) return pool.free.pop()
  return pool.next < pool.limit ? pool.next++ : undefined
}

/** Marks numbers as taken in a fresh pool; what is between them becomes free. */
export function reserveNumbers(pool: NumberPool, taken: ReadonlySet<number>): void {
  let highest = 0
  for (const number of taken) highest = Math.max(highest, number)
  for (let number = highest; number >= 1; number--) {
    if (!taken.has(number)) pool.free.push(number)
  }
  pool.next = highest + 1
}
