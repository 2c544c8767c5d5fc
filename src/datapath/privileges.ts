import { readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { ShuntError } from '../errors.ts'
import { binding } from './native-binding.ts'

/** Bits of the capabilities that loading and attaching programs take. */
const bits = { CAP_NET_ADMIN: 12n, CAP_SYS_ADMIN: 21n, CAP_PERFMON: 38n, CAP_BPF: 39n } as const

/** Which capabilities does this process lack? CAP_SYS_ADMIN contains all but CAP_NET_ADMIN. */
export function missingCapabilities(status = readFileSync('/proc/self/status', 'utf8')): string[] {
  const hex = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'
  const held = BigInt(`0x${hex}`)
  const has = (name: keyof typeof bits): boolean => ((held >> bits[name]) & 1n) === 1n
  const wanted = has('CAP_SYS_ADMIN')
    ? (['CAP_NET_ADMIN'] as const)
    : (['CAP_BPF', 'CAP_NET_ADMIN', 'CAP_PERFMON'] as const)
  return wanted.filter((name) => !has(name))
}

/** Refuses before anything is made, because half of the rights make half of the node. */
export function requirePrivileges(): void {
  const missing = missingCapabilities()
  const what = 'loading BPF programs: '
  if (missing.length > 0)
    throw new ShuntError('KSH_PRIVILEGE', `${what}this process lacks ${missing.join(', ')}`)
  const errno = -binding().objGet('/no such pin')
  if (![constants.errno.EPERM, constants.errno.EACCES, constants.errno.ENOSYS].includes(errno))
    return
  throw new ShuntError(
    'KSH_PRIVILEGE',
    `${what}the system call bpf is denied to this process although it has the capabilities; ` +
      'look for a seccomp profile or a security module',
  )
}
