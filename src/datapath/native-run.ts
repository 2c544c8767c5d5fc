import { binding, check } from './native-binding.ts'

export interface TestRun {
  readonly programFd: number
  /** A frame, from its Ethernet header on. */
  readonly data?: Uint8Array
  /** struct __sk_buff (see skbContext) or xdp_md. */
  readonly ctx?: Uint8Array
  readonly repeat?: number
  /** Room for the packet afterwards; 512 bytes more than `data` unless told. */
  readonly dataOutSize?: number
  /** Room for the context afterwards; as long as `ctx` unless told. */
  readonly ctxOutSize?: number
}

export interface TestRunResult {
  /** The program's return code, as unsigned 32 bits: TC_ACT_UNSPEC is 0xffffffff. */
  readonly retval: number
  /** Mean time of one run, in nanoseconds. */
  readonly duration: number
  readonly data: Buffer
  readonly ctx: Buffer
}

/** Runs a program on this packet instead of traffic. */
export function testRun(run: TestRun): TestRunResult {
  return parseResult(check<Buffer>(binding().testRun(...runArguments(run)), runName(run)))
}

/** The same on a worker thread, for runs that take long. */
export async function testRunAsync(run: TestRun): Promise<TestRunResult> {
  const started = check<Promise<Buffer | number>>(
    binding().testRunAsync(...runArguments(run)),
    runName(run),
  )
  return parseResult(check<Buffer>(await started, runName(run)))
}

/** What a packet says about itself besides its bytes. */
export interface SkbFields {
  readonly mark?: number
  readonly priority?: number
  readonly ingressIfindex?: number
  readonly ifindex?: number
  readonly gsoSegments?: number
  readonly gsoSize?: number
  /** Bytes on the wire; the kernel wants it with gsoSegments. */
  readonly wireLength?: number
}

/** struct __sk_buff for a test run; the kernel refuses every other field that is not zero. */
export function skbContext(fields: SkbFields): Buffer {
  const ctx = Buffer.alloc(192)
  ctx.writeUInt32LE(fields.mark ?? 0, 8)
  ctx.writeUInt32LE(fields.priority ?? 0, 32)
  ctx.writeUInt32LE(fields.ingressIfindex ?? 0, 36)
  ctx.writeUInt32LE(fields.ifindex ?? 0, 40)
  ctx.writeUInt32LE(fields.wireLength ?? 0, 160)
  ctx.writeUInt32LE(fields.gsoSegments ?? 0, 164)
  ctx.writeUInt32LE(fields.gsoSize ?? 0, 176)
  return ctx
}

/** The mark a program left in its context. */
export function markOf(ctx: Buffer): number {
  return ctx.readUInt32LE(8)
}

function runName(run: TestRun): string {
  return `test-run program of fd ${run.programFd} on ${run.data?.length ?? 0} bytes`
}

function runArguments(run: TestRun): Parameters<ReturnType<typeof binding>['testRun']> {
  const data = run.data === undefined ? null : Buffer.from(run.data)
  const ctx = run.ctx === undefined ? null : Buffer.from(run.ctx)
  const dataOut = run.dataOutSize ?? (data === null ? 0 : data.length + 512)
  const ctxOut = run.ctxOutSize ?? (data === null ? 0 : (ctx?.length ?? 0))
  return [run.programFd, data, ctx, dataOut, ctxOut, run.repeat ?? 1]
}

/* Four u32 (return code, nanoseconds, two lengths), then packet and context. */
function parseResult(result: Buffer): TestRunResult {
  const dataEnd = 16 + result.readUInt32LE(8)
  return {
    retval: result.readUInt32LE(0),
    duration: result.readUInt32LE(4),
    data: result.subarray(16, dataEnd),
    ctx: result.subarray(dataEnd, dataEnd + result.readUInt32LE(12)),
  }
}
