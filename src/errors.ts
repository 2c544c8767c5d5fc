/** Every coded error and the exit code it means (design: 1 run time, 2 usage, 3 kernel, 4 owned). */
export const exitCodes = {
  KSH_RUNTIME: 1,
  KSH_USAGE: 2,
  KSH_CONFIG: 2,
  KSH_KERNEL: 3,
  KSH_PRIVILEGE: 3,
  KSH_BPFFS: 2,
  KSH_FOREIGN_ROOT: 4,
  KSH_OWNED: 4,
  KSH_MAP_WRITE: 1,
  KSH_MAP_FULL: 1,
  KSH_API: 1,
} as const

export type ErrorCode = keyof typeof exitCodes

/** An error that stops what was attempted; `message` says what was attempted and on what. */
export class ShuntError extends Error {
  readonly code: ErrorCode
  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'ShuntError'
    this.code = code
  }
  get exitCode(): number {
    return exitCodes[this.code]
  }
}

/** The text of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
