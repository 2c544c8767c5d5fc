import { execFileSync } from 'node:child_process'
import type { Member, Struct } from '../../src/datapath/struct.ts'

interface RawType {
  readonly id: number
  readonly kind: string
  readonly name: string
  readonly size?: number
  readonly type_id?: number
  readonly nr_elems?: number
  readonly members?: readonly { name: string; type_id: number; bits_offset: number }[]
  readonly values?: readonly { name: string; val: number }[]
  readonly vars?: readonly { type_id: number }[]
}

/** What an object file says about its types and maps. */
export interface Btf {
  readonly structs: ReadonlyMap<
    string,
    { readonly size: number; readonly members: readonly Member[] }
  >
  readonly enums: ReadonlyMap<string, ReadonlyMap<string, number>>
  readonly maps: ReadonlyMap<string, { readonly key: string; readonly value: string }>
}

/** The type information of an object file. */
export function readBtf(object: string): Btf {
  const output = execFileSync('bpftool', ['-j', 'btf', 'dump', 'file', object], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  })
  const { types } = JSON.parse(output) as { types: RawType[] }
  const byId = new Map(types.map((type) => [type.id, type]))
  const structs = new Map<string, { size: number; members: Member[] }>()
  const enums = new Map<string, Map<string, number>>()
  for (const type of types) {
    if (type.kind === 'STRUCT' && type.name !== '(anon)') {
      structs.set(type.name, { size: type.size!, members: membersOf(byId, type) })
    }
    if (type.kind === 'ENUM') {
      enums.set(type.name, new Map(type.values!.map(({ name, val }) => [name, val])))
    }
  }
  return { structs, enums, maps: mapsOf(byId, types) }
}

/** How codecs differ from the structs of the same name; empty: they mirror them. */
export function compareStruct(btf: Btf, codec: Pick<Struct<unknown>, 'name' | 'size' | 'members'>) {
  const real = btf.structs.get(codec.name)
  if (real === undefined) return [`struct ${codec.name} is not in C`]
  const differences: string[] = []
  if (real.size !== codec.size)
    differences.push(`${codec.name}: size ${real.size}, TS ${codec.size}`)
  const names = new Set([...real.members, ...codec.members].map((member) => member.name))
  for (const name of names) {
    const c = describeMember(real.members.find((member) => member.name === name))
    const ts = describeMember(codec.members.find((member) => member.name === name))
    if (c !== ts) differences.push(`${codec.name}.${name}: C ${c}, TS ${ts}`)
  }
  return differences
}

function describeMember(member: Member | undefined): string {
  if (member === undefined) return 'nothing'
  const length = member.length === undefined ? '' : `[${member.length}]`
  return `${member.type}${length} at ${member.offset}, ${member.size} bytes`
}

function membersOf(byId: ReadonlyMap<number, RawType>, struct: RawType): Member[] {
  return struct.members!.map(({ name, type_id, bits_offset }) => {
    const type = byId.get(type_id)!
    const isArray = type.kind === 'ARRAY'
    return {
      name,
      offset: bits_offset / 8,
      size: sizeOf(byId, type),
      type: typeName(byId, isArray ? type.type_id! : type_id),
      length: isArray ? type.nr_elems : undefined,
    }
  })
}

function sizeOf(byId: ReadonlyMap<number, RawType>, type: RawType): number {
  if (type.kind === 'ARRAY') return type.nr_elems! * sizeOf(byId, byId.get(type.type_id!)!)
  return type.size ?? sizeOf(byId, byId.get(type.type_id!)!)
}

/** Typedef names are kept, because they carry the byte order. */
function typeName(byId: ReadonlyMap<number, RawType>, id: number): string {
  const type = byId.get(id)!
  return type.kind === 'STRUCT' ? `struct ${type.name}` : type.name
}

function mapsOf(byId: ReadonlyMap<number, RawType>, types: readonly RawType[]): Btf['maps'] {
  const maps = new Map<string, { key: string; value: string }>()
  const section = types.find((type) => type.kind === 'DATASEC' && type.name === '.maps')
  for (const { type_id } of section?.vars ?? []) {
    const variable = byId.get(type_id)!
    const members = byId.get(variable.type_id!)!.members!
    const pointee = (name: string): string => {
      const pointer = members.find((member) => member.name === name)!.type_id
      return typeName(byId, byId.get(pointer)!.type_id!)
    }
    maps.set(variable.name, { key: pointee('key'), value: pointee('value') })
  }
  return maps
}
