// Bundles the agent into one file: node deploy/image/bundle.ts DIRECTORY INPUTS
// DIRECTORY becomes the agent's home, INPUTS a list of the npm packages that went in.
import { chmodSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, type Metafile } from 'esbuild'

const project = fileURLToPath(new URL('../../', import.meta.url))
const [home = '', inputsFile = ''] = process.argv.slice(2)

/* CommonJS inside a module: what such packages expect to be given. */
const banner = `import { createRequire as requireFor } from 'node:module'
import { dirname as directoryOf } from 'node:path'
import { fileURLToPath as pathOf } from 'node:url'
const require = requireFor(import.meta.url)
const __filename = pathOf(import.meta.url)
const __dirname = directoryOf(__filename)`

/** Where the agent looks from: two levels below its home, as src/datapath is. */
const bundlePath = join(home, 'lib', 'agent', 'kube-shunt.mjs')

const { metafile } = await build({
  absWorkingDir: project,
  entryPoints: ['src/launcher.js'],
  outfile: bundlePath,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node24',
  keepNames: true,
  legalComments: 'eof',
  metafile: true,
  logLevel: 'warning',
  banner: { js: banner },
})
useOwnNode(bundlePath)
copyManifest()
copyPrebuild('bpf')
writeFileSync(inputsFile, JSON.stringify(packagesOf(metafile), undefined, 2))

/* The image has one Node, and no env to search for it. */
function useOwnNode(path: string): void {
  const text = readFileSync(path, 'utf8')
  writeFileSync(path, text.replace(/^#!.*\n/, '#!/usr/bin/node\n'))
  chmodSync(path, 0o755)
}

/* The agent reads its version there. */
function copyManifest(): void {
  const text = readFileSync(join(project, 'package.json'), 'utf8')
  const { name, version, description, license, type } = JSON.parse(text) as Manifest
  const kept = JSON.stringify({ name, version, description, license, type }, undefined, 2)
  writeFileSync(join(home, 'package.json'), `${kept}\n`)
}

/* Found beside the bundle's directory, as beside the package's. */
function copyPrebuild(name: string): void {
  const platform = `linux-${process.arch}`
  const target = join(home, 'lib', 'prebuilds', platform)
  mkdirSync(target, { recursive: true })
  const source = join(project, 'node_modules', name, 'prebuilds', platform, 'node.napi.node')
  cpSync(source, join(target, 'node.napi.node'))
}

interface Manifest {
  readonly name: string
  readonly version: string
  readonly license?: string
  readonly description?: string
  readonly type?: string
}

/** The npm packages that the bundle has files of; one may be there twice, inside others. */
function packagesOf({ inputs }: Metafile): Manifest[] {
  const ofPackage = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/
  const directories = new Set(
    Object.keys(inputs).flatMap((path) => ofPackage.exec(path)?.[0] ?? []),
  )
  const packages = new Map<string, Manifest>()
  for (const directory of directories) {
    const text = readFileSync(join(project, directory, 'package.json'), 'utf8')
    const { name, version, license } = JSON.parse(text) as Manifest
    const entry = { name, version, ...(license === undefined ? {} : { license }) }
    packages.set(`${name}@${version}`, entry)
  }
  return [...packages.keys()].sort().map((key) => packages.get(key)!)
}
