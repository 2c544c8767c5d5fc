import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { applyMessage, compareTables, emptyTable } from '../../src/devices/link-table.ts'
import { dumpRequest, parseMessages } from '../../src/devices/rtnetlink.ts'

/** An attribute: u16 length, u16 type, the bytes, padding to 4. */
function attribute(type: number, value: Buffer | string | number): Buffer {
  const bytes = typeof value === 'number' ? u32(value) : Buffer.from(value)
  const header = Buffer.alloc(4)
  header.writeUInt16LE(4 + bytes.length, 0)
  header.writeUInt16LE(type, 2)
  return Buffer.concat([header, bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)])
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

function message(type: number, body: Buffer, flags = 0, sequence = 0): Buffer {
  const header = Buffer.alloc(16)
  header.writeUInt32LE(16 + body.length, 0)
  header.writeUInt16LE(type, 4)
  header.writeUInt16LE(flags, 6)
  header.writeUInt32LE(sequence, 8)
  return Buffer.concat([header, body])
}

function linkBody(family: number, index: number, flags: number, ...attributes: Buffer[]): Buffer {
  const head = Buffer.alloc(16)
  head.writeUInt8(family, 0)
  head.writeUInt16LE(1, 2)
  head.writeInt32LE(index, 4)
  head.writeUInt32LE(flags, 8)
  return Buffer.concat([head, ...attributes])
}

const vethAttributes = [
  attribute(3, 'veth0\0'),
  attribute(1, Buffer.from('0a1b2c3d4e5f', 'hex')),
  attribute(4, 1450),
  attribute(5, 9),
  attribute(10, 3),
  attribute(37, 0),
  attribute(18 | 0x8000, attribute(1, 'veth\0')),
]
const veth = message(16, linkBody(0, 8, 0x41, ...vethAttributes), 2, 7)

function routeBody(family: number, prefix: number, flags: number, ...more: Buffer[]): Buffer {
  const head = Buffer.from([family, prefix, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0])
  head.writeUInt32LE(flags, 8)
  return Buffer.concat([head, ...more])
}

test('parseMessages reads a link with everything it tells', () => {
  assert.deepEqual(parseMessages(veth), [
    {
      kind: 'link',
      sequence: 7,
      isReply: true,
      isInterrupted: false,
      removed: false,
      link: {
        index: 8,
        name: 'veth0',
        up: true,
        running: true,
        loopback: false,
        type: 1,
        kind: 'veth',
        master: 3,
        peer: 9,
        peerElsewhere: true,
        mac: '0a:1b:2c:3d:4e:5f',
        mtu: 1450,
      },
    },
  ])
})

test('parseMessages ignores a bridge telling that a port left it', () => {
  const left = message(17, linkBody(7, 8, 0, attribute(3, 'veth0\0')))
  assert.equal(parseMessages(left)[0]?.kind, 'ignored')
})

test('parseMessages takes the local side of a point-to-point address', () => {
  const body = Buffer.concat([
    Buffer.from([2, 32, 0x80, 0, 5, 0, 0, 0]),
    attribute(1, Buffer.from([10, 0, 0, 2])),
    attribute(2, Buffer.from([10, 0, 0, 1])),
  ])
  const [parsed] = parseMessages(message(20, body))
  assert.ok(parsed?.kind === 'address')
  assert.deepEqual(parsed.address, {
    index: 5,
    family: 'IPv4',
    address: '10.0.0.1',
    prefixLength: 32,
    scope: 'global',
    secondary: false,
  })
})

test('parseMessages reads an IPv6 address in its canonical text', () => {
  const bytes = Buffer.from('fe800000000000000000000000000001', 'hex')
  const body = Buffer.concat([Buffer.from([10, 64, 0, 253, 2, 0, 0, 0]), attribute(1, bytes)])
  const [parsed] = parseMessages(message(21, body))
  assert.ok(parsed?.kind === 'address')
  assert.equal(parsed.address.address, 'fe80::1')
  assert.equal(parsed.address.scope, 'link')
  assert.equal(parsed.removed, true)
})

test('parseMessages reads every hop of a default route, and no other route', () => {
  const hop = (index: number) => Buffer.concat([Buffer.from([8, 0, 0, 0]), u32(index)])
  const many = routeBody(2, 0, 0, attribute(9, Buffer.concat([hop(4), hop(6)])), attribute(6, 100))
  const [parsed] = parseMessages(message(24, many))
  assert.ok(parsed?.kind === 'route')
  const route = { family: 'IPv4', table: 254, priority: 100, indexes: [4, 6] }
  assert.deepEqual(parsed.route, route)
  const prefix = message(24, routeBody(2, 24, 0, attribute(4, 4)))
  const clone = message(24, routeBody(10, 0, 0x200, attribute(4, 4)))
  assert.deepEqual(
    parseMessages(Buffer.concat([prefix, clone])).map(({ kind }) => kind),
    ['ignored', 'ignored'],
  )
})

test('parseMessages tells the end of a dump, its interruption, and a refusal', () => {
  const errorBody = Buffer.concat([u32(-16 >>> 0), message(18, Buffer.alloc(0), 0, 3)])
  const parsed = parseMessages(
    Buffer.concat([message(3, u32(0), 0x12, 3), message(2, errorBody, 0, 3)]),
  )
  assert.deepEqual(parsed, [
    { kind: 'done', sequence: 3, isReply: true, isInterrupted: true, errno: 0 },
    { kind: 'error', sequence: 3, isReply: false, isInterrupted: false, errno: -16, request: 18 },
  ])
})

test('parseMessages makes something of every truncation, and of a changed length', () => {
  for (let length = 1; length < veth.length; length++) {
    const [only, ...more] = parseMessages(veth.subarray(0, length))
    assert.equal(only?.kind, 'malformed', `${length} bytes`)
    assert.deepEqual(more, [])
  }
  for (let at = 16; at < veth.length; at++) {
    const shorter = Buffer.from(veth.subarray(0, at))
    shorter.writeUInt32LE(at, 0)
    assert.equal(parseMessages(shorter).length, 1)
  }
})

test('parseMessages ends on any bytes, and their messages apply to a table', () => {
  const types = fc.constantFrom(2, 3, 16, 17, 20, 21, 24, 25, 99)
  const anyMessage = fc
    .tuple(types, fc.uint8Array({ maxLength: 120 }))
    .map(([type, body]) => message(type, Buffer.from(body)))
  const damaged = fc
    .tuple(fc.nat(veth.length - 1), fc.nat(255))
    .map(([at, byte]) =>
      Buffer.concat([veth.subarray(0, at), Buffer.from([byte]), veth.subarray(at + 1)]),
    )
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array)),
    fc.array(fc.oneof(anyMessage, damaged), { maxLength: 4 }).map((all) => Buffer.concat(all)),
  )
  fc.assert(
    fc.property(bytes, (input) => {
      const table = emptyTable()
      for (const parsed of parseMessages(input)) applyMessage(table, parsed)
      assert.ok(Array.isArray(compareTables(emptyTable(), table)))
    }),
    { numRuns: 2000 },
  )
})

test('applyMessage tells only what is new, and compareTables agrees with it', () => {
  const table = emptyTable()
  const [told] = parseMessages(veth)
  assert.deepEqual(
    applyMessage(table, told!).map(({ kind }) => kind),
    ['link'],
  )
  assert.deepEqual(applyMessage(table, told!), [])
  assert.deepEqual(
    compareTables(emptyTable(), table).map(({ kind }) => kind),
    ['link'],
  )
  assert.deepEqual(
    compareTables(table, emptyTable()).map(({ kind }) => kind),
    ['link-removed'],
  )
  assert.deepEqual(compareTables(table, table), [])
})

test('dumpRequest asks for a dump, one subject at a time', () => {
  const request = dumpRequest('routes6', 5)
  assert.equal(request.readUInt32LE(0), request.length)
  assert.equal(request.readUInt16LE(4), 26)
  assert.equal(request.readUInt16LE(6), 0x301)
  assert.equal(request.readUInt32LE(8), 5)
  assert.equal(request[16], 10)
})
