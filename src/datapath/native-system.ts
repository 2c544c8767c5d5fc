import { binding, check } from './native-binding.ts'

const errnoAgain = -11
const bpffsMagic = 0xcafe4a11

/**
 * Locks a file or directory (a bpffs one too) until the fd is closed or the process ends, however
 * it ends; undefined: another holds it.
 */
export function lockPath(path: string): number | undefined {
  const fd = binding().lockPath(path)
  return fd === errnoAgain ? undefined : check(fd, `lock ${path}`)
}

/** Is this path inside a mounted bpffs? */
export function isBpffs(path: string): boolean {
  return check(binding().fileSystemMagic(path), `file system of ${path}`) === bpffsMagic
}

/** Nanoseconds of the coarse monotonic clock, the same that programs read as coarse ktime. */
export function ktimeCoarse(): bigint {
  return check<bigint>(binding().ktimeCoarse(), 'read the coarse monotonic clock')
}
