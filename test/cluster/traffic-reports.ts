/** Microseconds. */
export interface Latency {
  readonly count: number
  readonly mean: number
  readonly min: number
  readonly p50: number
  readonly p95: number
  readonly p99: number
  readonly max: number
}

/** What `flows` says about its ping-pong flows. */
export interface FlowReport {
  readonly event: 'established' | 'second' | 'end'
  readonly seconds: number
  readonly flows: number
  /** Flows alive now. */
  readonly open: number
  readonly pings: number
  /** TCP: flows lost to an error; UDP: errors on sockets, which live on. */
  readonly resets: number
  /** Flows the server closed. */
  readonly closed: number
  /** Answers that did not come in time. */
  readonly timeouts: number
  readonly connectFailures: number
  /** Times a flow was answered by another backend than before. */
  readonly switched: number
  /** The longest time from a ping to its answer, or to now. */
  readonly maxGapMs: number
  /** Flows by the name that answers. */
  readonly backends: Readonly<Record<string, number>>
  readonly errors: Readonly<Record<string, number>>
  readonly latencyUs: Latency
}

/** What `crowd` says about the connections it holds. */
export interface CrowdReport {
  readonly event: 'second' | 'opened' | 'checked' | 'end'
  readonly seconds: number
  /** How many there were to be. */
  readonly connections: number
  readonly tried: number
  /** Answered when they were opened. */
  readonly answered: number
  /** Alive now. */
  readonly open: number
  /** Lost to an error, or closed by the server, after they were open. */
  readonly resets: number
  readonly closed: number
  /** Answered again since the last check began. */
  readonly checked: number
  readonly failures: number
  /** Why connections could not be opened: errno names, `timeout`, `closed`. */
  readonly failed: Readonly<Record<string, number>>
}

/** What `flood` says. */
export interface FloodReport {
  readonly event: 'second' | 'end'
  readonly seconds: number
  readonly sent: number
  /** What the device had no room for. */
  readonly refused: number
  readonly ratePerSecond: number
}

/** What `dial` says about its new connections or datagrams. */
export interface DialReport {
  readonly event: 'second' | 'end'
  readonly seconds: number
  readonly dialled: number
  readonly ok: number
  readonly failures: number
  readonly inFlight: number
  /** The longest time without an answer. */
  readonly longestSilenceMs: number
  /** Answers by name. */
  readonly backends: Readonly<Record<string, number>>
  /** Answers by the client address that the backend saw. */
  readonly peers: Readonly<Record<string, number>>
  /** Failures by errno name, `timeout`, `closed` or `foreign source`. */
  readonly failed: Readonly<Record<string, number>>
  readonly latencyUs: Latency
}

/** What `dial --once` says. */
export type Answer =
  | {
      readonly ok: true
      readonly name: string
      /** The client as the backend saw it. */
      readonly peer: string
      readonly peerPort: number
      /** Its own address as the backend saw it. */
      readonly local: string
      readonly localPort: number
      readonly ms: number
    }
  | { readonly ok: false; readonly error: string; readonly ms: number }

/** What `lat` says about one target. */
export interface LatencyReport {
  readonly target: string
  readonly mode: 'crr' | 'rr'
  readonly udp: boolean
  readonly errors: number
  /** Received, warm-up included. */
  readonly bytes: number
  readonly ratePerSecond: number
  readonly latencyUs: Latency
}
