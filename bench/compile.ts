import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { openObject, type BpfObject } from '../src/datapath/native.ts'

const folder = resolve(import.meta.dirname, '../build/bench')

/** Compiles a program of the benchmarks as the datapath is compiled, and opens it. */
export function compile(source: string): BpfObject {
  const name = basename(source).replace(/\.c$/, '.o')
  const path = resolve(folder, name)
  const multiarch = execFileSync('cc', ['-print-multiarch'], { encoding: 'utf8' }).trim()
  const flags = ['-O2', '-g', '-target', 'bpf', '-mcpu=v3', '-Wall', '-Werror']
  mkdirSync(folder, { recursive: true })
  execFileSync('clang', [...flags, `-I/usr/include/${multiarch}`, '-c', source, '-o', path])
  return openObject(path)
}
