import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { outside4, outside6, passThrough, type Outside } from './cast.ts'
import { build, damageOf, errorsOf, shapes, waysOf } from './hostile-frames.ts'
import { frame } from './packet.ts'
import { programsOf, type Hostile } from './hostile-programs.ts'

/** Entries that hostile packets may make: flows they open, of which each has four. */
const mostEntries = 400

for (const outside of [outside4, outside6]) {
  const hostile = programsOf(outside)
  for (const [name, run] of Object.entries(hostile.programs))
    describe(`${outside.family} ${name}`, () => {
      for (const shape of shapes)
        test(`takes no harm from ${shape.name}, and does none`, () => {
          for (const [from, to] of waysOf(outside)) assertHarmless(run, build(shape, from, to))
          assertBounded(hostile, outside)
        })
      test('takes no harm from ICMP errors with quotes of any length', () => {
        for (const bytes of errorsOf(outside)) assertHarmless(run, bytes)
      })
    })
}

function assertHarmless(run: Hostile['programs'][string], bytes: Buffer): void {
  const { action, data } = run(bytes)
  if (action === 'pass') assert.equal(damageOf(bytes, data), undefined)
}

/** Another client is served, and the tables have not grown. */
function assertBounded({ node }: Hostile, outside: Outside): void {
  const { otherClient, nodePort, backend, node: name } = outside
  const out = passThrough(node, frame({ from: otherClient, to: nodePort, tcp: 'S' }))
  assert.ok(out.startsWith(`next: TCP ${name}:`) && out.endsWith(`> ${backend} [S]`), out)
  assert.ok(node.tables.entries().length < mostEntries)
}
