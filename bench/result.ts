/** One quantity, measured once in each round; rounds of a benchmark take turns between all of them. */
export interface Measurement {
  /** Which benchmark: "program", "latency", "address-width". */
  readonly benchmark: string
  /** What was measured: "tc", "kube-shunt", "iptables", "direct" ... */
  readonly subject: string
  /** What it had to do: "crr", "established, TCP v4" ... */
  readonly workload: string
  /** Under which circumstances: profile, placement, Services, flows ... */
  readonly setting: Readonly<Record<string, string | number>>
  readonly unit: 'ns' | 'µs' | 'instructions' | 'bytes'
  /** One value for each round; for a fact that does not vary, one. */
  readonly samples: readonly number[]
}

/** Everything of one run of the benchmarks; what is printed is printed from this. */
export interface Report {
  readonly version: 1
  /** ISO date of the start. */
  readonly started: string
  readonly seconds: number
  /** As it can be typed again. */
  readonly command: string
  readonly machine: Machine
  readonly measurements: readonly Measurement[]
  /** What a reader of the numbers must know, by benchmark. */
  readonly notes: Readonly<Record<string, readonly string[]>>
}

export interface Machine {
  readonly processor: string
  readonly cpus: number
  readonly kernel: string
  readonly distribution: string
  readonly node: string
  readonly clang: string
  /** Commit of the working tree, "+" when it had changes. */
  readonly commit: string
  /** 1, 5 and 15 minutes. */
  readonly loadBefore: string
  readonly loadAfter: string
}

/** A benchmark: what `npm run bench NAME` runs. */
export interface Benchmark {
  readonly name: string
  /** Heading of its part of the report. */
  readonly title: string
  /** One sentence for the usage text. */
  readonly summary: string
  run(options: BenchOptions, say: (progress: string) => void): Promise<Outcome>
  /** Its part of the printed report. */
  print(measurements: readonly Measurement[]): string
}

export interface Outcome {
  readonly measurements: readonly Measurement[]
  readonly notes: readonly string[]
}

export interface BenchOptions {
  readonly rounds: number | undefined
  readonly profiles: readonly ('bridge' | 'ptp')[]
  /** Numbers of Services. */
  readonly services: readonly number[]
}

/** What distinguishes a measurement from all others of a report. */
export function keyOf(measurement: Omit<Measurement, 'samples' | 'unit'>): string {
  const { benchmark, subject, workload, setting } = measurement
  const settings = Object.entries(setting).map(([name, value]) => `${name}=${value}`)
  return [benchmark, workload, ...settings, subject].join(' / ')
}

/** Collects samples round by round. */
export class Recorder {
  readonly #byKey = new Map<string, Measurement & { readonly samples: number[] }>()

  add(about: Omit<Measurement, 'samples'>, sample: number): void {
    const key = keyOf(about)
    const known = this.#byKey.get(key)
    if (known === undefined) this.#byKey.set(key, { ...about, samples: [sample] })
    else known.samples.push(sample)
  }

  get measurements(): Measurement[] {
    return [...this.#byKey.values()]
  }
}
