import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { watchConfigFile } from '../../src/proxy-config/watch-file.ts'

interface Watched {
  readonly directory: string
  /** Watches a file below the directory. */
  readonly watch: (name: string) => {
    readonly told: () => Promise<void>
    readonly count: () => number
  }
}

function watched(context: TestContext): Watched {
  const directory = mkdtempSync(join(tmpdir(), 'shunt-watch-'))
  const ending = new AbortController()
  context.after(() => {
    ending.abort()
    rmSync(directory, { recursive: true })
  })
  const watch: Watched['watch'] = (name) => {
    const { promise, resolve } = Promise.withResolvers<undefined>()
    let count = 0
    watchConfigFile({
      path: join(directory, name),
      changed: () => {
        count++
        resolve(undefined)
      },
      signal: ending.signal,
      intervalMilliseconds: 5,
    })
    return { told: () => keepAlive(promise), count: () => count }
  }
  return { directory, watch }
}

/* The watch alone does not keep a process alive. */
async function keepAlive(promise: Promise<unknown>): Promise<void> {
  const timer = setInterval(() => undefined, 1000)
  await promise.finally(() => clearInterval(timer))
}

test('watchConfigFile: another content is told, once', async (context) => {
  const { directory, watch } = watched(context)
  const path = join(directory, 'config.conf')
  writeFileSync(path, 'a')
  const { told, count } = watch('config.conf')
  writeFileSync(path, 'b')
  await told()
  writeFileSync(path, 'c')
  const next = watch('config.conf')
  writeFileSync(path, 'd')
  await next.told()
  assert.equal(count(), 1)
})

test('watchConfigFile: a ConfigMap whose link is turned is told', async (context) => {
  const { directory, watch } = watched(context)
  for (const version of ['1', '2']) {
    mkdirSync(join(directory, version))
    writeFileSync(join(directory, version, 'config.conf'), `version ${version}`)
  }
  symlinkSync('1', join(directory, '..data'))
  symlinkSync('..data/config.conf', join(directory, 'config.conf'))
  const { told } = watch('config.conf')
  symlinkSync('2', join(directory, '..data_tmp'))
  renameSync(join(directory, '..data_tmp'), join(directory, '..data'))
  await told()
})

test('watchConfigFile: the same content again, or no file for a while, is nothing', async (context) => {
  const { directory, watch } = watched(context)
  const path = join(directory, 'config.conf')
  writeFileSync(path, 'a')
  const same = watch('config.conf')
  rmSync(path)
  // another watch has seen the file gone and come back, so the first has as well
  writeFileSync(join(directory, 'other'), '1')
  const other = watch('other')
  writeFileSync(join(directory, 'other'), '2')
  await other.told()
  writeFileSync(path, 'a')
  const last = watch('other')
  writeFileSync(join(directory, 'other'), '3')
  await last.told()
  assert.equal(same.count(), 0)
})
