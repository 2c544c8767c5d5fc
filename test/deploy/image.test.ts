import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, globSync, lstatSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { imageForAll } from './root-file-system.ts'

const image = imageForAll()
const project = new URL('../../', import.meta.url)
let root: string
before(() => {
  root = image().root
})

interface Bom {
  readonly components: readonly { readonly name: string; readonly purl: string }[]
}

function everything(): string[] {
  return execFileSync('find', [root, '-mindepth', '1'], { encoding: 'utf8' }).trim().split('\n')
}

function isElf(path: string): boolean {
  const stat = lstatSync(path)
  return stat.isFile() && readFileSync(path).subarray(0, 4).toString('latin1') === '\x7fELF'
}

test('the agent runs there, under either name', () => {
  const { version } = JSON.parse(readFileSync(new URL('package.json', project), 'utf8')) as {
    version: string
  }
  for (const command of ['/usr/bin/kube-shunt', '/usr/local/bin/kube-proxy']) {
    const said = execFileSync('chroot', [root, command, '--version'], { encoding: 'utf8' })
    assert.equal(said, `kube-shunt ${version}\n`)
  }
})

test('it holds no compiler, no package manager and no source', () => {
  const names = everything().map((path) => path.slice(root.length))
  const unwanted =
    /bin\/(gcc|cc|clang|ld|as|make|python3?|perl|npm|npx|apt|apt-get|dpkg|curl|wget)(-[\d.]+)?$|\.(ts|h|c|a)$/
  assert.deepEqual(
    names.filter((name) => unwanted.test(name)),
    [],
  )
})

test('nothing in it is setuid, setgid or writable for others, except /tmp', () => {
  const open = everything().filter((path) => {
    const { mode } = lstatSync(path)
    return !lstatSync(path).isSymbolicLink() && (mode & 0o6002) !== 0
  })
  const names = open.map((path) => path.slice(root.length))
  assert.deepEqual(names.sort(), ['/tmp'])
})

test('every library that a program in it needs is in it', () => {
  const programs = everything().filter((path) => !path.endsWith('.bpf.o') && isElf(path))
  const libraries = new Set(everything().map((path) => path.split('/').at(-1)!))
  assert.ok(programs.length > 10)
  for (const program of programs) {
    const text = execFileSync('readelf', ['--dynamic', program], { encoding: 'utf8' })
    for (const [, library = ''] of text.matchAll(/\(NEEDED\).*\[(.*)\]/g))
      assert.ok(libraries.has(library), `${program} needs ${library}`)
  }
})

test('its programs have the code of this build', () => {
  for (const name of globSync('build/bpf/*.bpf.o', { cwd: project })) {
    const ours = readFileSync(new URL(name, project))
    assert.deepEqual(readFileSync(join(root, 'usr/lib/kube-shunt', name)), ours)
  }
  assert.ok(existsSync(join(root, 'usr/lib/kube-shunt/build/loader/kube_shunt_loader.node')))
})

test('its list of components names what is in it', () => {
  const path = join(root, 'usr/share/sbom/kube-shunt.cdx.json')
  const { components } = JSON.parse(readFileSync(path, 'utf8')) as Bom
  const names = components.map(({ name }) => name)
  for (const name of ['node', 'bpf', 'undici', 'yaml', 'yargs', 'pino', 'prom-client'])
    assert.ok(names.includes(name), name)
  const packages = readFileSync(new URL('deploy/image/packages', project), 'utf8')
    .trim()
    .split('\n')
  for (const name of packages) assert.ok(names.includes(name), name)
  assert.equal(new Set(components.map(({ purl }) => purl)).size, components.length)
  for (const { purl } of components) assert.match(purl, /^pkg:(npm|deb|generic)\/[^@]+@[^@]+$/)
})

test('the Dockerfile adds nothing to what the script assembles', () => {
  const text = readFileSync(new URL('deploy/Dockerfile', project), 'utf8')
  const last = text.slice(text.lastIndexOf('\nFROM ') + 1)
  const instructions = last.split('\n').flatMap((line) => /^([A-Z]+) /.exec(line)?.[1] ?? [])
  assert.match(last, /^FROM scratch\nCOPY --from=build \/rootfs\/ \/\n/)
  assert.deepEqual(instructions, [
    ...['FROM', 'COPY', 'ARG', 'ARG', 'ARG', 'LABEL', 'ENV', 'STOPSIGNAL', 'ENTRYPOINT', 'CMD'],
  ])
  assert.match(last, /^STOPSIGNAL SIGTERM$/m)
  assert.match(text, /RUN .*deploy\/rootfs\.sh \/rootfs$/m)
  for (const label of ['title', 'description', 'licenses', 'version', 'revision', 'created'])
    assert.ok(last.includes(`org.opencontainers.image.${label}=`), label)
})
