import { randomBytes } from 'node:crypto'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const records = '/run/kube-shunt-clusters'

/** Everything a cluster may have outside its own memory; all of it is named after the id. */
export interface ClusterRecord {
  readonly id: string
  readonly owner: { readonly pid: number; readonly startTime: string }
  /** What the cluster's namespaces start with. */
  readonly prefix: string
  readonly pins: string
  readonly cgroup: string
  readonly directory: string
}

/** Writes down what a new cluster will own, before any of it exists. */
export function recordCluster(): ClusterRecord {
  const id = randomBytes(4).toString('hex')
  const record: ClusterRecord = {
    id,
    owner: { pid: process.pid, startTime: startTime(process.pid) ?? '' },
    prefix: `ks-${id}-`,
    pins: `/sys/fs/bpf/ks-${id}`,
    cgroup: join(cgroupMount(), `ks-${id}`),
    directory: join(tmpdir(), `ks-${id}`),
  }
  fs.mkdirSync(records, { recursive: true, mode: 0o700 })
  fs.writeFileSync(recordPath(id), JSON.stringify(record))
  fs.mkdirSync(record.directory, { mode: 0o700 })
  fs.mkdirSync(record.cgroup)
  return record
}

/** The records of clusters whose owner is gone, whatever became of it. */
export function orphanedRecords(): ClusterRecord[] {
  return recordNames().flatMap((name) => {
    const record = readRecord(name)
    return record && startTime(record.owner.pid) !== record.owner.startTime ? [record] : []
  })
}

/** Forgets a cluster; the last step of its removal. */
export function forgetCluster(record: ClusterRecord): void {
  fs.rmSync(recordPath(record.id), { force: true })
}

/** Where cgroup v2 is mounted. */
export function cgroupMount(): string {
  const line = fs
    .readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .find((mount) => mount.split(' ')[2] === 'cgroup2')
  if (line === undefined) throw new Error('cgroup v2 is not mounted: run `npm run setup`')
  return line.split(' ')[1]!
}

function recordPath(id: string): string {
  return join(records, `${id}.json`)
}

function recordNames(): string[] {
  return fs.existsSync(records) ? fs.readdirSync(records) : []
}

/** Nothing but what the id itself names is ever removed, whatever the file says. */
function readRecord(name: string): ClusterRecord | undefined {
  const id = /^([0-9a-f]{8})\.json$/.exec(name)?.[1]
  if (id === undefined) return undefined
  let record: ClusterRecord
  try {
    record = JSON.parse(fs.readFileSync(recordPath(id), 'utf8')) as ClusterRecord
  } catch {
    return undefined // half-written by a cluster that owns nothing yet, or just removed
  }
  const named =
    record.id === id &&
    record.prefix === `ks-${id}-` &&
    record.pins === `/sys/fs/bpf/ks-${id}` &&
    record.cgroup.endsWith(`/ks-${id}`) &&
    record.directory.endsWith(`/ks-${id}`)
  return named ? record : undefined
}

/** Start time of a process in clock ticks: with the pid it names one process for ever. */
function startTime(pid: number): string | undefined {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? undefined : fields[19]
  } catch {
    return undefined
  }
}
