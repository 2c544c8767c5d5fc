import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** A seccomp profile as container runtimes read it, as far as ours goes. */
export interface Profile {
  readonly defaultAction: string
  readonly defaultErrnoRet: number
  readonly architectures: readonly string[]
  readonly syscalls: readonly Entry[]
}

interface Entry {
  readonly names: readonly string[]
  readonly action: 'SCMP_ACT_ALLOW' | 'SCMP_ACT_ERRNO'
  readonly errnoRet?: number
  /** Bits of an argument, of which none may be set. */
  readonly args?: readonly [{ readonly index: number; readonly value: number; readonly op: string }]
}

const load = 0x20 // BPF_LD | BPF_W | BPF_ABS
const jumpIfEqual = 0x15 // BPF_JMP | BPF_JEQ | BPF_K
const jumpIfAny = 0x45 // BPF_JMP | BPF_JSET | BPF_K
const answer = 0x06 // BPF_RET | BPF_K
const allow = 0x7fff0000
const errno = 0x00050000
const kill = 0x80000000
const architectures: Readonly<Record<string, number>> = { x64: 0xc000003e, arm64: 0xc00000b7 }

export function readProfile(): Profile {
  const path = new URL('../../deploy/seccomp/kube-shunt.json', import.meta.url)
  return JSON.parse(readFileSync(path, 'utf8')) as Profile
}

/** A profile as the kernel takes it: an array of struct sock_filter for this architecture. */
export function filterOf(profile: Profile): Buffer {
  const numbers = syscallNumbers()
  const entries = profile.syscalls.flatMap((entry) =>
    entry.names.flatMap((name) => {
      const number = numbers.get(name)
      return number === undefined ? [] : entryFilter(entry, number)
    }),
  )
  return Buffer.concat([
    instruction(load, 4), // struct seccomp_data: arch
    instruction(jumpIfEqual, architectures[process.arch]!, 1, 0),
    instruction(answer, kill),
    instruction(load, 0), // nr
    ...entries,
    instruction(answer, errno | profile.defaultErrnoRet),
  ])
}

function entryFilter({ action, errnoRet = 1, args }: Entry, number: number): Buffer[] {
  const verdict = instruction(answer, action === 'SCMP_ACT_ALLOW' ? allow : errno | errnoRet)
  if (args === undefined) return [instruction(jumpIfEqual, number, 0, 1), verdict]
  const [{ index, value, op }] = args
  if (op !== 'SCMP_CMP_MASKED_EQ') throw new Error(`${op} is not understood here`)
  return [
    instruction(jumpIfEqual, number, 0, 4),
    instruction(load, 16 + 8 * index), // the low half; bits beyond are not asked for
    instruction(jumpIfAny, value, 1, 0),
    verdict,
    instruction(answer, errno | 1),
  ]
}

function instruction(code: number, k: number, ifTrue = 0, ifFalse = 0): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeUInt16LE(code, 0)
  bytes.writeUInt8(ifTrue, 2)
  bytes.writeUInt8(ifFalse, 3)
  bytes.writeUInt32LE(k >>> 0, 4)
  return bytes
}

/** System calls of this architecture by name; some of a profile's exist on others only. */
export function syscallNumbers(): ReadonlyMap<string, number> {
  const input = '#include <asm/unistd.h>\n'
  const text = execFileSync('cc', ['-E', '-dM', '-'], { encoding: 'utf8', input })
  const found = text.matchAll(/^#define __NR_(\w+) (\d+)$/gm)
  return new Map([...found].map(([, name, number]) => [name!, Number(number)]))
}
