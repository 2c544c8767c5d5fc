import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runProcess } from '../cluster/process.ts'
import type { ClusterNode, Output, Running } from '../cluster/types.ts'
import type { Container, DaemonSet, Manifest, Mount, PodSpec, Variable } from './manifests.ts'
import type { Image } from './root-file-system.ts'
import { filterOf, type Profile } from './seccomp.ts'

/** A DaemonSet's pod on a node of namespaces, as kubelet and a runtime would start it. */
export interface PodSetting {
  readonly image: Image
  readonly node: ClusterNode
  readonly daemonSet: DaemonSet
  /** ConfigMaps among them are mounted. */
  readonly manifests: readonly Manifest[]
  /** Holds token and ca.crt. */
  readonly serviceAccount: string
  /** What kubelet tells every pod of the Service of the API server. */
  readonly apiServer: { readonly host: string; readonly port: string }
  /** The system call filter. */
  readonly profile: Profile
  /** Flags besides those of the manifest. */
  readonly flags: readonly string[]
  /** For files of the pod; different for pods that run together. */
  readonly directory: string
}

export interface RunningPod {
  readonly process: Running
  /** What it wrote. */
  log(): string
  /** Runs its start-up probe: true when it succeeds. */
  isStarted(): Promise<boolean>
  /** What a command prints that is run in the pod, as by kubectl exec. */
  exec(command: readonly string[]): Promise<Output>
  /** Signals its first process, as a runtime does, and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<Output>
  /** The status of its first process, from /proc. */
  status(): string
  /** The mounts it sees. */
  mounts(): string
}

const capabilities: Readonly<Record<string, bigint>> = {
  NET_ADMIN: 12n,
  SYS_RESOURCE: 24n,
  PERFMON: 38n,
  BPF: 39n,
}

/* The image is the lower layer, as in every runtime; what a pod mounts is made before it is read-only. */
const setUp = `set -e
root=$1/root; image=$2; runner=$3; caps=$4; filter=$5; shift 5
mount -t tmpfs tmpfs "$root"
mkdir "$root/upper" "$root/work" "$root/merged"
mount -t overlay overlay -o "lowerdir=$image,upperdir=$root/upper,workdir=$root/work" "$root/merged"
root=$root/merged
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
mount -t tmpfs -o nosuid tmpfs "$root/dev"
for name in null zero full random urandom; do
  : > "$root/dev/$name"; mount --bind "/dev/$name" "$root/dev/$name"
done
while [ "$1" != -- ]; do
  [ -d "$root/$2" ] || mkdir -p "$root/$2"
  if [ "$1" = memory ]; then mount -t tmpfs -o size=1m tmpfs "$root/$2"
  else mount --bind "$1" "$root/$2"; fi
  [ "$3" = rw ] || mount -o remount,bind,ro "$root/$2"
  shift 3
done
shift
mount -o remount,ro "$root"
exec "$runner" "$root" "$caps" "$filter" "$@"
`

/** Starts the pod's container; it is the first process of a process namespace of its own. */
export function startPod(setting: PodSetting): RunningPod {
  const { image, node, daemonSet, directory } = setting
  const spec = daemonSet.spec.template.spec
  const container = spec.containers[0]!
  mkdirSync(join(directory, 'root'), { recursive: true })
  const filter = join(directory, 'filter')
  writeFileSync(filter, filterOf(setting.profile))
  const confinement = [capabilityMask(container), filter]
  const variables = environment(setting, container)
  const process = node.spawn([
    ...['unshare', '--mount', '--pid', '--fork', '--kill-child'],
    ...['sh', '-c', setUp, 'sh', directory, image.root, image.runner, ...confinement],
    ...mountArguments(setting, spec, container),
    ...['--', ...variables, '--', ...commandOf(setting, container)],
  ])
  const merged = join(directory, 'root', 'merged')
  const entry = [image.runner, merged, ...confinement, ...variables, '--']
  return running(process, container, entry)
}

function running(process: Running, container: Container, entry: readonly string[]): RunningPod {
  const first = (): number => {
    const path = `/proc/${process.pid}/task/${process.pid}/children`
    return Number(readFileSync(path, 'utf8').trim().split(' ')[0])
  }
  const exec = (command: readonly string[]): Promise<Output> => {
    const enter = ['nsenter', '--mount', '--pid', '--net', `--target=${first()}`, '--']
    return runProcess([...enter, ...entry, ...command], { mayFail: true })
  }
  return {
    process,
    log: () => process.stderr() + process.stdout(),
    isStarted: async () => (await exec(container.startupProbe.exec.command)).code === 0,
    exec,
    stop(signal = 'SIGTERM') {
      if (!process.hasEnded()) globalThis.process.kill(first(), signal)
      return process.exited
    },
    status: () => readFileSync(`/proc/${first()}/status`, 'utf8'),
    mounts: () => readFileSync(`/proc/${first()}/mountinfo`, 'utf8'),
  }
}

function capabilityMask({ securityContext }: Container): string {
  const { drop, add } = securityContext.capabilities
  if (!drop.includes('ALL')) throw new Error('only containers that drop ALL can be run here')
  const mask = add.reduce((bits, name) => bits | (1n << capabilities[name]!), 0n)
  return mask.toString(16)
}

/* As kubelet: the API server's Service, unless the container says otherwise, and the image's own. */
function environment(setting: PodSetting, { env = [] }: Container): string[] {
  const { apiServer } = setting
  const variables = new Map([
    ['PATH', '/usr/local/bin:/usr/bin'],
    ['NODE_ENV', 'production'],
    ['KUBERNETES_SERVICE_HOST', apiServer.host],
    ['KUBERNETES_SERVICE_PORT', apiServer.port],
  ])
  for (const variable of env) {
    const value = valueOf(setting, variable)
    if (value !== undefined) variables.set(variable.name, value)
  }
  return [...variables].map(([name, value]) => `${name}=${value}`)
}

function valueOf(
  { node, manifests }: PodSetting,
  { name, valueFrom }: Variable,
): string | undefined {
  if (valueFrom?.fieldRef?.fieldPath === 'spec.nodeName') return node.name
  const reference = valueFrom?.configMapKeyRef
  if (reference === undefined) throw new Error(`${name}: a value that is not understood here`)
  return configMap(manifests, reference.name)[reference.key]
}

function commandOf({ node, flags }: PodSetting, { command, args = [] }: Container): string[] {
  return [...command, ...args, ...flags].map((word) => word.replaceAll('$(NODE_NAME)', node.name))
}

function configMap(manifests: readonly Manifest[], name: string): Readonly<Record<string, string>> {
  const found = manifests.find(
    ({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === name,
  )
  if (found?.data === undefined) throw new Error(`no ConfigMap ${name}`)
  return found.data
}

/* Triples of source ("memory" for an emptyDir), place and mode. */
function mountArguments(setting: PodSetting, spec: PodSpec, container: Container): string[] {
  const account = '/var/run/secrets/kubernetes.io/serviceaccount'
  const own = container.volumeMounts.flatMap((mount) => {
    return [sourceOf(setting, spec, mount), mount.mountPath, mount.readOnly ? 'ro' : 'rw']
  })
  return [...own, setting.serviceAccount, account, 'ro']
}

function sourceOf(setting: PodSetting, spec: PodSpec, { name }: Mount): string {
  const { node, manifests, directory } = setting
  const volume = spec.volumes.find((candidate) => candidate.name === name)
  if (volume?.emptyDir !== undefined) return 'memory'
  if (volume?.configMap !== undefined) {
    const files = join(directory, name)
    mkdirSync(files, { recursive: true })
    const contents = configMap(manifests, volume.configMap.name)
    for (const [file, text] of Object.entries(contents)) writeFileSync(join(files, file), text)
    return files
  }
  /* Each node has its own part of what is the host's. */
  const hostPaths = new Map([
    ['/sys/fs/bpf', node.bpffs],
    ['/sys/fs/cgroup', node.cgroup],
  ])
  const path = hostPaths.get(volume?.hostPath?.path ?? '')
  if (path === undefined) throw new Error(`volume ${name} is not understood here`)
  mkdirSync(path, { recursive: true, mode: 0o700 })
  return path
}
