import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
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
