/**
 * Do the tests notice when a defence of the datapath is gone? Breaks one line of a copy of bpf/ at
 * a time and runs the tests that should turn red. `npm run mutations [word...]` takes only
 * mutations whose name has one of the words.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { mutations, type Mutation } from './mutation-list.ts'
import { outsideMutations } from './mutation-list-outside.ts'

const root = resolve(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'kube-shunt-mutations-'))
process.on('exit', () => rmSync(folder, { recursive: true }))

/** The folder of the objects of a broken copy. */
function build({ file, from, to }: Mutation): string {
  const sources = join(folder, 'bpf')
  rmSync(sources, { recursive: true, force: true })
  cpSync(join(root, 'bpf'), sources, { recursive: true })
  const path = join(sources, file)
  const text = readFileSync(path, 'utf8')
  if (text.split(from).length !== 2) throw new Error(`${file} has not exactly one \`${from}\``)
  writeFileSync(
    path,
    text.replace(from, () => to),
  )
  // What a broken line no longer uses is no reason to stop.
  const makefile = join(sources, 'Makefile')
  writeFileSync(makefile, readFileSync(makefile, 'utf8').replace('-Werror', '-w'))
  const flags = ['-s', '-C', sources, `OUT=${sources}/out`]
  execFileSync('make', [...flags, 'CC=cc'], { stdio: ['ignore', 'ignore', 'inherit'] })
  return join(sources, 'out')
}

/** How many tests failed, of how many. */
function runTests(objects: string, names: readonly string[]): { failed: number; total: number } {
  const files = names.map((name) => join(import.meta.dirname, `${name}.test.ts`))
  const { stdout } = spawnSync(process.execPath, ['--test', '--test-reporter=tap', ...files], {
    env: { ...process.env, KUBE_SHUNT_BPF: objects },
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  })
  const count = (word: string): number =>
    Number(new RegExp(`^# ${word} (\\d+)`, 'm').exec(stdout)?.[1] ?? 0)
  return { failed: count('fail') + count('cancelled'), total: count('tests') }
}

const words = process.argv.slice(2)
const chosen = [...mutations, ...outsideMutations].filter(
  ({ name }) => words.length === 0 || words.some((word) => name.includes(word)),
)
let survivors = 0
for (const mutation of chosen) {
  const { failed, total } = runTests(build(mutation), mutation.tests)
  // A copy that does not load fails every test: that proves nothing.
  const isLoaded = failed < total
  const isNoticed = failed > 0 && isLoaded
  if (!isNoticed) survivors++
  const result = isNoticed ? 'noticed ' : isLoaded ? 'SURVIVED' : 'DID NOT LOAD'
  console.log(`${result} ${mutation.name} (${failed} of ${total} tests failed)`)
}
console.log(`${chosen.length - survivors} of ${chosen.length} mutations were noticed`)
process.exitCode = survivors === 0 ? 0 : 1
