import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The bytes of a program of this folder, compiled now. */
export function compile(source: string): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'ksn-'))
  const object = join(folder, 'out.o')
  const multiarch = execFileSync('cc', ['-print-multiarch'], { encoding: 'utf8' }).trim()
  const flags = ['-target', 'bpf', '-O2', '-g', '-Wall', `-I/usr/include/${multiarch}`]
  try {
    execFileSync('clang', [...flags, '-c', join(import.meta.dirname, source), '-o', object])
    return readFileSync(object)
  } finally {
    rmSync(folder, { recursive: true })
  }
}
