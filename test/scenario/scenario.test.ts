import assert from 'node:assert/strict'
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describe, it } from 'node:test'
import { parseAllDocuments } from 'yaml'
import { describe as describeOp } from '../../src/datapath/apply.ts'
import type { MapOp } from '../../src/plan/image.ts'
import { wakeAt, refusals } from '../../src/plan/plan.ts'
import { createFakeCluster, type FakeCluster } from '../fakes/fake-cluster.ts'
import { smallLimits } from '../fakes/fake-maps.ts'

/*
 * A case is text: "== what happens", YAML documents (objects to upsert, or a verb), "-- maps"
 * and "-- ops" with what then is in the maps and what was written for it. UPDATE=1 writes the
 * second halves anew, to be read before they are committed.
 */
interface Step {
  readonly title: string
  readonly yaml: string
  readonly expected: ReadonlyMap<string, string>
}

interface Verb {
  readonly remove?: string
  readonly restart?: boolean
  readonly wait?: number
  readonly limits?: Partial<typeof smallLimits>
  readonly kind?: string
}

const separator = /^== /m

function readSteps(text: string): { readonly about: string; readonly steps: Step[] } {
  const [about, ...parts] = text.split(separator)
  const steps = parts.map((part) => {
    const [head, ...sections] = part.split(/^-- /m)
    const end = head!.indexOf('\n')
    const expected = new Map(
      sections.map((section) => {
        const line = section.indexOf('\n')
        return [section.slice(0, line), section.slice(line + 1)]
      }),
    )
    return { title: head!.slice(0, end), yaml: head!.slice(end + 1), expected }
  })
  return { about: about!, steps }
}

function play(cluster: FakeCluster, step: Step): ReadonlyMap<string, string> {
  let isRestart = false
  for (const document of parseAllDocuments(step.yaml)) {
    const value = document.toJS() as Verb | null
    if (value === null) continue
    if (value.kind !== undefined) cluster.upsert(value.kind, value)
    else if (value.remove !== undefined) {
      const [kind, name] = value.remove.split(' ')
      cluster.remove(kind!, name!)
    } else if (value.wait !== undefined) cluster.now += value.wait
    else if (value.restart === true) isRestart = true
    else assert.ok(value.limits !== undefined, `unknown verb in "${step.title}"`)
  }
  const ops = isRestart ? cluster.restart() : cluster.pass()
  const results = new Map([
    ['maps', cluster.dump() || 'empty\n'],
    ['ops', ops.map((op) => `${opText(op)}\n`).join('') || 'none\n'],
  ])
  const refused = refusals(cluster.state).map(
    (one) => `${one.servicePort} ${one.reason}: ${one.detail}\n`,
  )
  if (refused.length > 0) {
    const wake = wakeAt(cluster.state)
    results.set(
      'refused',
      refused.join('') + (wake === undefined ? '' : `try again at ${wake} ms\n`),
    )
  }
  return results
}

function opText(op: MapOp): string {
  const text = describeOp(op)
  if (op.kind === 'state')
    return `${text} ${op.alive ? 'alive' : 'dead'} generation=${op.generation}`
  if (op.kind !== 'word') return text
  const { base, count, local, generation } = op.word
  return `${text} base=${base} count=${count} local=${local} generation=${generation}`
}

function limitsOf(steps: readonly Step[]): typeof smallLimits {
  const [first] = parseAllDocuments(steps[0]!.yaml)
  const verb = first?.toJS() as Verb | null
  return { ...smallLimits, ...verb?.limits }
}

function runCase(file: string): void {
  const { about, steps } = readSteps(readFileSync(file, 'utf8'))
  const cluster = createFakeCluster(limitsOf(steps))
  let written = about
  for (const step of steps) {
    const results = play(cluster, step)
    written += `== ${step.title}\n${step.yaml}`
    for (const [name, text] of results) written += `-- ${name}\n${text}\n`
    if (process.env['UPDATE'] !== undefined) continue
    for (const [name, text] of results) {
      assert.equal(text, step.expected.get(name)?.trimEnd().concat('\n'), `${step.title}: ${name}`)
    }
    assert.equal(results.size, step.expected.size, `${step.title}: sections`)
  }
  if (process.env['UPDATE'] !== undefined) writeFileSync(file, `${written.trimEnd()}\n`)
}

describe('scenarios', () => {
  const files = globSync(join(import.meta.dirname, 'cases/*.txt')).sort()
  assert.ok(files.length > 0)
  for (const file of files) it(basename(file, '.txt').replaceAll('-', ' '), () => runCase(file))
})
