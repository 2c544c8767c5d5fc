/** One member of a C struct: how it lies in memory and what it is in TypeScript. */
export interface Field<Value> {
  readonly size: number
  readonly align: number
  /** Name of the C type, of the element for an array; byte order is part of it. */
  readonly type: string
  /** Elements of an array; undefined: not an array. */
  readonly length?: number
  read(buffer: Buffer, at: number): Value
  write(buffer: Buffer, at: number, value: Value): void
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a table of fields of any values
type Fields = Readonly<Record<string, Field<any>>>

/** The TypeScript value of a struct; padding has none. */
export type ValueOf<Table extends Fields> = {
  readonly [Name in keyof Table as Name extends 'pad' ? never : Name]: Table[Name] extends Field<
    infer Value
  >
    ? Value
    : never
}

/** A C struct: its layout, and the reading and writing of it. */
export interface Struct<Value> {
  readonly name: string
  readonly size: number
  readonly align: number
  readonly members: readonly Member[]
  parse(buffer: Buffer, at?: number): Value
  /** Writes every byte, padding included, because padding is part of a hash key. */
  format(buffer: Buffer, value: Value, at?: number): void
}

export interface Member {
  readonly name: string
  readonly offset: number
  readonly size: number
  readonly type: string
  readonly length: number | undefined
}

/** The codec of a C struct; a member that would need implicit padding is an error. */
export function struct<Table extends Fields>(name: string, table: Table): Struct<ValueOf<Table>> {
  const members: Member[] = []
  let size = 0
  let align = 1
  for (const [member, field] of Object.entries(table)) {
    if (size % field.align !== 0) throw new TypeError(`${name}.${member} is not aligned`)
    members.push({
      name: member,
      offset: size,
      size: field.size,
      type: field.type,
      length: field.length,
    })
    size += field.size
    align = Math.max(align, field.align)
  }
  if (size % align !== 0) throw new TypeError(`${name} needs padding at its end`)
  const entries = members.map((member) => ({ ...member, field: table[member.name]! }))
  const valued = entries.filter((entry) => entry.name !== 'pad')
  return {
    name,
    size,
    align,
    members,
    parse(buffer, at = 0) {
      const value: Record<string, unknown> = {}
      for (const { name, offset, field } of valued) value[name] = field.read(buffer, at + offset)
      return value as ValueOf<Table>
    },
    format(buffer, value, at = 0) {
      buffer.fill(0, at, at + size)
      for (const { name, offset, field } of valued) {
        field.write(buffer, at + offset, value[name as keyof typeof value])
      }
    },
  }
}

export const u8: Field<number> = {
  size: 1,
  align: 1,
  type: '__u8',
  read: (buffer, at) => buffer.readUInt8(at),
  write: (buffer, at, value) => void buffer.writeUInt8(value, at),
}

export const u16: Field<number> = {
  size: 2,
  align: 2,
  type: '__u16',
  read: (buffer, at) => buffer.readUInt16LE(at),
  write: (buffer, at, value) => void buffer.writeUInt16LE(value, at),
}

export const u32: Field<number> = {
  size: 4,
  align: 4,
  type: '__u32',
  read: (buffer, at) => buffer.readUInt32LE(at),
  write: (buffer, at, value) => void buffer.writeUInt32LE(value, at),
}

export const u64: Field<bigint> = {
  size: 8,
  align: 8,
  type: '__u64',
  read: (buffer, at) => buffer.readBigUInt64LE(at),
  write: (buffer, at, value) => void buffer.writeBigUInt64LE(value, at),
}

export const be16: Field<number> = {
  size: 2,
  align: 2,
  type: '__be16',
  read: (buffer, at) => buffer.readUInt16BE(at),
  write: (buffer, at, value) => void buffer.writeUInt16BE(value, at),
}

export const be32: Field<number> = {
  size: 4,
  align: 4,
  type: '__be32',
  read: (buffer, at) => buffer.readUInt32BE(at),
  write: (buffer, at, value) => void buffer.writeUInt32BE(value, at),
}

/** An array of one kind of member. */
export function array<Value>(element: Field<Value>, length: number): Field<readonly Value[]> {
  return {
    size: element.size * length,
    align: element.align,
    type: element.type,
    length,
    read: (buffer, at) =>
      Array.from({ length }, (_, i) => element.read(buffer, at + i * element.size)),
    write: (buffer, at, values) => {
      if (values.length !== length) throw new RangeError(`${values.length} of ${length} elements`)
      values.forEach((value, i) => element.write(buffer, at + i * element.size, value))
    },
  }
}

/** NUL-padded text; all bytes may be used. */
export function chars(length: number): Field<string> {
  return {
    size: length,
    align: 1,
    type: 'char',
    length,
    read: (buffer, at) => {
      const end = buffer.indexOf(0, at)
      return buffer.toString('latin1', at, end < 0 || end > at + length ? at + length : end)
    },
    write: (buffer, at, value) => {
      if (value.length > length) throw new RangeError(`${value.length} characters for ${length}`)
      buffer.write(value, at, 'latin1')
    },
  }
}

/** A struct within a struct, as another value in TypeScript. */
export function nested<Value>(
  inner: Pick<Struct<unknown>, 'name' | 'size' | 'align'>,
  codec: Pick<Field<Value>, 'read' | 'write'>,
): Field<Value> {
  return { ...codec, size: inner.size, align: inner.align, type: `struct ${inner.name}` }
}
