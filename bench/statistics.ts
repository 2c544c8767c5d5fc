/** The middle value; of an even number the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  if (sorted.length === 0) return NaN
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

export interface Interval {
  readonly low: number
  readonly middle: number
  readonly high: number
}

const resamples = 2000

/**
 * The median with the 95 % confidence interval of a percentile bootstrap over rounds. The same
 * samples give the same interval.
 */
export function bootstrap(samples: readonly number[]): Interval {
  return intervalOf(median(samples), (random) => median(resample(samples, random)))
}

/** The median of ratios of rounds that belong together, with its interval. */
export function pairedRatio(values: readonly number[], of: readonly number[]): Interval {
  if (values.length !== of.length)
    throw new Error(`ratio of ${values.length} rounds to ${of.length}`)
  return bootstrap(values.map((value, round) => value / of[round]!))
}

/** The ratio of medians of two independent runs, with its interval. */
export function unpairedRatio(values: readonly number[], of: readonly number[]): Interval {
  return intervalOf(
    median(values) / median(of),
    (random) => median(resample(values, random)) / median(resample(of, random)),
  )
}

/** Does the interval leave open whether there is a difference at all? */
export function isNoDifference({ low, high }: Interval): boolean {
  return low <= 1 && high >= 1
}

function intervalOf(middle: number, draw: (random: () => number) => number): Interval {
  const random = randomOf(20_260_101)
  const drawn = Array.from({ length: resamples }, () => draw(random)).sort((a, b) => a - b)
  const at = (share: number): number => drawn[Math.round(share * (resamples - 1))]!
  return { low: at(0.025), middle, high: at(0.975) }
}

function resample(samples: readonly number[], random: () => number): number[] {
  return samples.map(() => samples[Math.floor(random() * samples.length)]!)
}

/** Numbers from 0 to 1 that look random, the same for the same seed (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
