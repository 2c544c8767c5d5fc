import { addressWidth } from './address-width/benchmark.ts'
import { latency } from './latency/benchmark.ts'
import { northSouth } from './north-south/benchmark.ts'
import { programCost } from './program-cost/benchmark.ts'
import type { Benchmark } from './result.ts'

/** Every benchmark, in the order of the report. */
export const benchmarks: readonly Benchmark[] = [programCost, latency, northSouth, addressWidth]
