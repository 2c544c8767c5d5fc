import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { forgetCluster, orphanedRecords } from './record.ts'
import type { ClusterRecord } from './record.ts'

/** Removes what dead owners left behind; returns the ids of their clusters. */
export function cleanupLeftovers(): string[] {
  return orphanedRecords().map((record) => {
    removeCluster(record)
    return record.id
  })
}

/**
 * Ends every process of a cluster, then removes its namespaces, pins, cgroups, files and record.
 * Synchronous, because it also runs while this process exits; doing it twice does no harm.
 */
export function removeCluster(record: ClusterRecord): void {
  killProcesses(record.cgroup)
  removeNamespaces(record.prefix)
  fs.rmSync(record.pins, { recursive: true, force: true })
  removeCgroups(record.cgroup)
  fs.rmSync(record.directory, { recursive: true, force: true })
  forgetCluster(record)
}

/** Removes the namespaces of these exact names that exist. */
export function deleteNamespaces(names: readonly string[]): void {
  if (names.length === 0) return
  const input = names.map((name) => `netns del ${name}\n`).join('')
  spawnSync('ip', ['-force', '-batch', '-'], { input })
}

/** Ends every process in a cgroup and below, and waits until none is left. */
export function killProcesses(cgroup: string): void {
  for (let attempt = 0; isPopulated(cgroup); attempt++) {
    if (attempt > 2000) throw new Error(`${cgroup}: processes survive SIGKILL`)
    if (attempt % 100 === 0) killOnce(cgroup)
    pause(5)
  }
}

/** Removes a cgroup and those below it; the kernel may still be busy with who was in it. */
export function removeCgroups(cgroup: string): void {
  for (const child of directoriesIn(cgroup)) removeCgroups(join(cgroup, child))
  for (let attempt = 0; !isRemoved(cgroup); attempt++) {
    if (attempt > 400) throw new Error(`${cgroup}: still busy`)
    pause(5)
  }
}

function isRemoved(cgroup: string): boolean {
  try {
    ignoringAbsence(() => fs.rmdirSync(cgroup))
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EBUSY') return false
    throw error
  }
}

function killOnce(cgroup: string): void {
  if (fs.existsSync(join(cgroup, 'cgroup.kill'))) {
    ignoringAbsence(() => fs.writeFileSync(join(cgroup, 'cgroup.kill'), '1'))
    return
  }
  for (const child of directoriesIn(cgroup)) killOnce(join(cgroup, child)) // before Linux 5.14
  for (const pid of readIfThere(join(cgroup, 'cgroup.procs')).split('\n').filter(Boolean))
    ignoringAbsence(() => process.kill(Number(pid), 'SIGKILL'))
}

function isPopulated(cgroup: string): boolean {
  return readIfThere(join(cgroup, 'cgroup.events')).includes('populated 1')
}

/** Until none appears any more: a tool of an owner that was killed may be about to make one. */
function removeNamespaces(prefix: string): void {
  for (let quiet = 0, attempt = 0; quiet < 3 && attempt < 300; attempt++) {
    const names = namespacesOf(prefix)
    deleteNamespaces(names)
    quiet = names.length === 0 ? quiet + 1 : 0
    pause(10)
  }
}

function namespacesOf(prefix: string): string[] {
  if (!fs.existsSync('/run/netns')) return []
  return fs.readdirSync('/run/netns').filter((name) => name.startsWith(prefix))
}

function directoriesIn(path: string): string[] {
  if (!fs.existsSync(path)) return []
  const entries = fs.readdirSync(path, { withFileTypes: true })
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
}

function readIfThere(path: string): string {
  try {
    return fs.readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function ignoringAbsence(action: () => void): void {
  try {
    action()
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code !== 'ENOENT' && code !== 'ESRCH' && code !== 'ENODEV') throw error
  }
}

function pause(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
}
