import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { after, before } from 'node:test'

const script = fileURLToPath(new URL('../../deploy/rootfs.sh', import.meta.url))
const source = fileURLToPath(new URL('container.c', import.meta.url))

/** What running containers takes. */
export interface Image {
  /** The image's root file system. */
  readonly root: string
  /** The program that runs a command in it. */
  readonly runner: string
}

/** Assembles the image's root file system once for all tests of a file. */
export function imageForAll(): () => Image {
  let image: Image | undefined
  let directory: string | undefined
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'ks-image-'))
    image = { root: join(directory, 'root'), runner: join(directory, 'container') }
    execFileSync(script, [image.root], { stdio: 'pipe' })
    execFileSync('cc', ['-O2', '-Wall', '-Wextra', '-Werror', '-o', image.runner, source])
  })
  after(() => {
    if (directory !== undefined) rmSync(directory, { recursive: true, force: true })
  })
  return () => image!
}

/** The same image under another version; its files are shared, but for the one that says so. */
export function withVersion(image: Image, version: string): Image {
  const root = `${image.root}-${version}`
  if (existsSync(root)) return { ...image, root }
  execFileSync('cp', ['--archive', '--link', image.root, root])
  const path = join(root, 'usr/lib/kube-shunt/package.json')
  const text = readFileSync(path, 'utf8').replace(/"version": "[^"]+"/, `"version": "${version}"`)
  rmSync(path)
  writeFileSync(path, text)
  return { ...image, root }
}
