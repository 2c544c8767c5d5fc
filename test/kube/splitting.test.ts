import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ItemSplitter } from '../../src/kube/json-items.ts'
import { LineSplitter } from '../../src/kube/lines.ts'

/** The bytes in chunks whose lengths come from a list of numbers, used over and over. */
function chunks(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const result: Buffer[] = []
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const length = lengths[turn % lengths.length] ?? 1
    result.push(bytes.subarray(at, at + length))
    at += length
  }
  return result
}

const lengths = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 })
const object = fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue(), {
  noNullPrototype: true,
})

test('LineSplitter finds the same lines however the bytes are cut', () => {
  fc.assert(
    fc.property(fc.array(object), lengths, (objects, cuts) => {
      const bytes = Buffer.from(objects.map((one) => `${JSON.stringify(one)}\n`).join('\n'))
      const splitter = new LineSplitter(1_000_000)
      const lines = chunks(bytes, cuts).flatMap((chunk) => [...splitter.push(chunk)])
      assert.deepEqual(
        lines,
        objects.map((one) => JSON.stringify(one)),
      )
      assert.equal(splitter.rest, 0)
    }),
  )
})

test('LineSplitter keeps a 64 kB line that arrives byte by byte', () => {
  const line = JSON.stringify({ text: 'ä'.repeat(32_000) })
  const splitter = new LineSplitter(1_000_000)
  const lines = chunks(Buffer.from(`${line}\n{"next":1}\n{"be`), [1]).flatMap((chunk) => [
    ...splitter.push(chunk),
  ])
  assert.deepEqual(lines, [line, '{"next":1}'])
  assert.equal(splitter.rest, 4)
})

test('LineSplitter refuses a line longer than its limit before it has all of it', () => {
  const splitter = new LineSplitter(100)
  assert.throws(() => {
    for (;;) Array.from(splitter.push(Buffer.alloc(30, 'x')))
  }, /longer than 100 bytes/)
})

test('ItemSplitter cuts any list into its items and an envelope', () => {
  fc.assert(
    fc.property(fc.array(object), object, lengths, (items, metadata, cuts) => {
      const list = { kind: 'ServiceList', metadata: { ...metadata, items: [{}] }, items, tail: [1] }
      for (const indent of [undefined, 2]) {
        const splitter = new ItemSplitter(1_000_000)
        const bytes = Buffer.from(JSON.stringify(list, undefined, indent))
        const found = chunks(bytes, cuts).flatMap((chunk) => [...splitter.push(chunk)])
        const envelope = splitter.end()
        assert.deepEqual(
          found.map((text) => JSON.parse(text) as unknown),
          JSON.parse(JSON.stringify(items)),
        )
        assert.deepEqual((envelope as { items: unknown }).items, [])
        assert.deepEqual((envelope as { tail: unknown }).tail, [1])
      }
    }),
  )
})

test('ItemSplitter takes lists whose items are null or missing', () => {
  for (const text of ['{"metadata":{"resourceVersion":"7"},"items":null}', '{"metadata":{}}']) {
    const splitter = new ItemSplitter(1000)
    assert.deepEqual([...splitter.push(Buffer.from(text))], [])
    assert.deepEqual(splitter.end(), JSON.parse(text))
  }
})

test('ItemSplitter refuses a list that was cut short', () => {
  for (const text of ['', '{"items":[', '{"items":[{"a":1},', '{"items":[{"a":1}]']) {
    const splitter = new ItemSplitter(1000)
    Array.from(splitter.push(Buffer.from(text)))
    assert.throws(() => splitter.end(), /cut short/)
  }
})

test('ItemSplitter refuses an item longer than its limit', () => {
  const splitter = new ItemSplitter(100)
  assert.throws(() => {
    Array.from(splitter.push(Buffer.from('{"items":[{"a":"')))
    for (;;) Array.from(splitter.push(Buffer.alloc(30, 'x')))
  }, /longer than 100 bytes/)
})
