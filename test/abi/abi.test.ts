import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, describe, it } from 'node:test'
import {
  enums,
  frontendKey,
  frontendName,
  mapTypes,
  mixKey,
  structs,
} from '../../src/datapath/abi.ts'
import { be16, be32, chars, nested, struct, u16, u32, u8 } from '../../src/datapath/struct.ts'
import { compareStruct, readBtf, type Btf } from './btf.ts'

const bpf = resolve(import.meta.dirname, '../../bpf')
const header = ['abi.h', 'counters.h'].map((name) => readFileSync(join(bpf, name), 'utf8')).join('')
const declared = (keyword: string): string[] =>
  [...header.matchAll(new RegExp(`^${keyword} (\\w+) \\{`, 'gm'))].map((match) => match[1]!)

/** Types nobody uses are not in BTF, so this object has a variable of each. */
function compileHeaders(folder: string): string {
  const source = join(folder, 'headers.c')
  const object = join(folder, 'headers.o')
  const variables = ['struct', 'enum'].flatMap((keyword) =>
    declared(keyword).map((name) => `${keyword} ${name} ${keyword}_${name};`),
  )
  writeFileSync(source, ['#include "maps.h"', ...variables].join('\n'))
  const multiarch = execFileSync('cc', ['-print-multiarch'], { encoding: 'utf8' }).trim()
  const flags = ['-O2', '-g', '-target', 'bpf', `-I/usr/include/${multiarch}`, `-I${bpf}`]
  execFileSync('clang', [...flags, '-c', source, '-o', object])
  return object
}

describe('the mirror of abi.h', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kube-shunt-abi-'))
  let btf: Btf
  before(() => {
    btf = readBtf(compileHeaders(folder))
  })
  after(() => rmSync(folder, { recursive: true }))

  it('has a codec for every struct, equal in size, offsets, types and byte order', () => {
    assert.deepEqual(structs.map((codec) => codec.name).sort(), declared('struct').sort())
    for (const codec of structs) assert.deepEqual(compareStruct(btf, codec), [])
  })

  it('has every enum with every value', () => {
    assert.deepEqual(Object.keys(enums).sort(), declared('enum').sort())
    for (const [name, values] of Object.entries(enums)) {
      assert.deepEqual(values, Object.fromEntries(btf.enums.get(name)!), name)
    }
  })

  it('knows every map and has a codec for its key and value', () => {
    const found = [...btf.maps].map(([name, { key, value }]) => [name, [key, value]])
    assert.deepEqual(Object.fromEntries(found), mapTypes)
    const known = new Set(['__u32', '__u64', ...structs.map((codec) => `struct ${codec.name}`)])
    for (const type of Object.values(mapTypes).flat()) assert.ok(known.has(type), type)
  })

  it('agrees with the objects that are shipped', () => {
    execFileSync('make', ['-C', bpf, `OUT=${folder}`], { stdio: 'pipe' })
    const objects = globSync(join(folder, '*.bpf.o'))
    assert.ok(objects.length > 0)
    for (const object of objects) {
      const shipped = readBtf(object)
      for (const codec of structs.filter(({ name }) => shipped.structs.has(name))) {
        assert.deepEqual(compareStruct(shipped, codec), [], object)
      }
      for (const [name, { key, value }] of shipped.maps) {
        if (name in mapTypes) assert.deepEqual([key, value], mapTypes[name], `${object}: ${name}`)
        else assert.match(name, /^\.|rodata|bss/, `${object}: map ${name} has no codec`)
      }
    }
  })

  it('notices a wrong byte order, a forgotten member and a wrong length', () => {
    const address = nested<string>({ name: 'addr', size: 16, align: 4 }, be32 as never)
    const host = struct('frontend_key', { addr: address, port: u16, proto: u8, pad: u8 })
    assert.deepEqual(compareStruct(btf, host), [
      'frontend_key.port: C __be16 at 16, 2 bytes, TS __u16 at 16, 2 bytes',
    ])
    const forgetful = struct('frontend_key', { addr: address, port: be16, proto: u16 })
    assert.equal(compareStruct(btf, forgetful).length, 2)
    const short = struct('frontend_key', { addr: address, port: be16, proto: u8, x: u8, y: be32 })
    assert.ok(compareStruct(btf, short).includes('frontend_key: size 20, TS 24'))
    const name = struct('frontend_name', { kind: u8, text: chars(190), more: u8 })
    assert.ok(compareStruct(btf, name).some((line) => line.includes('char[191]')))
    const renamed = struct('frontend_reference', { index: u32, echo: u32 })
    assert.deepEqual(compareStruct(btf, renamed), ['struct frontend_reference is not in C'])
  })
})

describe('codecs', () => {
  it('struct() refuses implicit padding', () => {
    assert.throws(() => struct('x', { a: u8, b: u32 }), /x\.b is not aligned/)
    assert.throws(() => struct('x', { b: u32, a: u8 }), /needs padding/)
  })

  it('format() writes every byte, padding included', () => {
    const buffer = Buffer.alloc(20, 0xee)
    frontendKey.format(buffer, { addr: '10.0.0.1', port: 53, proto: 17 })
    assert.equal(buffer.toString('hex'), '00000000000000000000ffff0a00000100351100')
    assert.deepEqual(frontendKey.parse(buffer), { addr: '10.0.0.1', port: 53, proto: 17 })
  })

  it('frontend_name holds the longest name without a NUL behind it', () => {
    const text = 'x'.repeat(191)
    const buffer = Buffer.alloc(frontendName.size + 1, 0x79)
    frontendName.format(buffer, { kind: 1, text })
    assert.equal(frontendName.parse(buffer).text, text)
    assert.throws(() => frontendName.format(buffer, { kind: 1, text: `${text}x` }), RangeError)
  })

  it('mixKey() is the C loop', () => {
    const key = Buffer.alloc(20)
    frontendKey.format(key, { addr: '10.96.0.10', port: 53, proto: 17 })
    let mixed = 0n
    for (let word = 0; word < 5; word++) {
      mixed = ((mixed ^ BigInt(key.readUInt32LE(4 * word))) * 0x9e3779b1n) & 0xffffffffn
      mixed ^= mixed >> 15n
    }
    assert.equal(mixKey(key), Number(mixed))
  })
})
