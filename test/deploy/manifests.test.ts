import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { runOptions } from '../../src/cli/run.ts'
import { Metrics } from '../../src/metrics/metrics.ts'
import {
  alertsOf,
  daemonSet,
  overlays,
  parseManifests,
  rendered,
  renderedText,
} from './manifests.ts'
import { readProfile, syscallNumbers } from './seccomp.ts'

for (const overlay of overlays) {
  describe(`overlay ${overlay}`, () => {
    const manifests = rendered(overlay)
    const { metadata, spec } = daemonSet(manifests)
    const pod = spec.template.spec
    const container = pod.containers[0]!
    const { args = [], env = [] } = container

    test('is rendered as kustomize renders it (deploy/render.sh)', (t) => {
      const path = fileURLToPath(new URL(`../../deploy/kustomize/${overlay}`, import.meta.url))
      const { status, stdout, error } = spawnSync('kubectl', ['kustomize', path])
      if (error !== undefined) return t.skip('kubectl is not installed')
      assert.equal(status, 0)
      assert.equal(stdout.toString(), renderedText(overlay))
    })

    test('has a pod of one container with the least rights', () => {
      assert.equal(pod.containers.length, 1)
      assert.equal(pod.initContainers, undefined)
      assert.deepEqual(container.securityContext, {
        privileged: false,
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        runAsUser: 0,
        capabilities: { drop: ['ALL'], add: ['BPF', 'NET_ADMIN', 'PERFMON'] },
      })
      assert.deepEqual(pod.securityContext, { seccompProfile: { type: 'RuntimeDefault' } })
      assert.deepEqual([pod.hostNetwork, pod.hostPID, pod.hostIPC], [true, undefined, undefined])
    })

    test('mounts two directories of the host, and what it mounts it has', () => {
      const paths = pod.volumes.flatMap(({ hostPath }) => hostPath?.path ?? [])
      assert.deepEqual(paths.sort(), ['/sys/fs/bpf', '/sys/fs/cgroup'])
      const mounted = container.volumeMounts.map(({ name }) => name)
      assert.deepEqual(mounted.sort(), pod.volumes.map(({ name }) => name).sort())
      const writable = container.volumeMounts.filter(({ readOnly }) => readOnly !== true)
      assert.deepEqual(writable.map(({ mountPath }) => mountPath).sort(), [
        '/run/kube-shunt',
        '/sys/fs/bpf',
      ])
    })

    test('says what it needs, and nothing takes its place', () => {
      const { requests, limits } = container.resources
      assert.deepEqual(Object.keys(requests).sort(), ['cpu', 'memory'])
      assert.deepEqual(Object.keys(limits), ['memory'])
      assert.equal(pod.priorityClassName, 'system-node-critical')
    })

    test('is updated with surge, which needs undeclared ports and an agent that waits', () => {
      const rollingUpdate = { maxSurge: 1, maxUnavailable: 0 }
      assert.deepEqual(spec.updateStrategy, { type: 'RollingUpdate', rollingUpdate })
      assert.equal(container.ports, undefined)
      assert.ok(args.includes('--if-owned=wait'))
      const file = container.startupProbe.exec.command.at(-1)!
      assert.ok(args.includes(`--ready-file=${file}`))
    })

    test('gives flags that exist, and the image of this version', () => {
      const { version } = JSON.parse(
        readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
      ) as { version: string }
      assert.equal(container.image, `kube-shunt:${version}`)
      const words = [...container.command, ...args].filter((word) => word.startsWith('-'))
      for (const word of words) assert.ok(word.slice(2).split('=')[0]! in runOptions, word)
    })

    test('probes the ports that its configuration opens', () => {
      const live = container.livenessProbe!.httpGet
      const ready = container.readinessProbe!.httpGet
      assert.deepEqual([live.path, ready.path, ready.port], ['/livez', '/healthz', live.port])
      const config = manifests.find(({ kind }) => kind === 'ConfigMap')?.data?.['config.conf']
      const port = /^healthzBindAddress: .*:(\d+)$/m.exec(config ?? '')?.[1] ?? '10256'
      assert.equal(live.port, Number(port))
    })

    test('names only what is there', () => {
      const has = (kind: string, name: string): boolean =>
        manifests.some((one) => one.kind === kind && one.metadata.name === name)
      const configMap = pod.volumes.find((volume) => volume.configMap)!.configMap!.name
      if (overlay === 'kubeadm') {
        /* Those that kubeadm made stay as they are, so they are not among ours. */
        assert.deepEqual([configMap, pod.serviceAccountName], ['kube-proxy', 'kube-proxy'])
        assert.deepEqual(
          manifests.map(({ kind }) => kind),
          ['DaemonSet'],
        )
        return
      }
      assert.ok(has('ConfigMap', configMap))
      assert.ok(has('ServiceAccount', pod.serviceAccountName))
      const binding = manifests.find(({ kind }) => kind === 'ClusterRoleBinding')!
      assert.ok(has('ClusterRole', binding.roleRef!.name))
      assert.deepEqual(
        binding.subjects!.map(({ name }) => name),
        [pod.serviceAccountName],
      )
      for (const { valueFrom } of env)
        assert.equal(valueFrom?.configMapKeyRef?.name ?? configMap, configMap)
    })

    test('selects its own pods', () => {
      const { matchLabels } = spec.selector
      const { labels } = spec.template.metadata
      assert.deepEqual({ ...labels, ...matchLabels }, labels)
      assert.equal(metadata.namespace, 'kube-system')
    })
  })
}

test('the role: services, slices, nodes and service ranges are read, events written, nothing else', () => {
  const role = rendered('base').find(({ kind }) => kind === 'ClusterRole')!
  const read = ['get', 'list', 'watch']
  assert.deepEqual(role.rules, [
    { apiGroups: [''], resources: ['services', 'nodes'], verbs: read },
    { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: read },
    { apiGroups: ['networking.k8s.io'], resources: ['servicecidrs'], verbs: read },
    { apiGroups: ['events.k8s.io'], resources: ['events'], verbs: ['create', 'patch'] },
  ])
})

test('no DaemonSet selects the pods of another', () => {
  const names = (['base', 'canary', 'cleanup'] as const).map(
    (overlay) => daemonSet(rendered(overlay)).spec.selector.matchLabels['app.kubernetes.io/name'],
  )
  assert.deepEqual(names, ['kube-shunt', 'kube-shunt-canary', 'kube-shunt-cleanup'])
  const node = daemonSet(rendered('canary')).spec.template.spec.nodeSelector
  assert.equal(node['kube-shunt.io/canary'], 'true')
})

test('the cleanup has no account, no probes of an agent, and the same rights', (t) => {
  const pod = daemonSet(rendered('cleanup')).spec.template.spec
  const agent = daemonSet(rendered('base')).spec.template.spec
  const [container] = pod.containers
  assert.deepEqual(container!.securityContext, agent.containers[0]!.securityContext)
  assert.deepEqual([container!.livenessProbe, container!.env], [undefined, []])
  assert.equal(pod.automountServiceAccountToken, false)
  const path = fileURLToPath(new URL('../../deploy/kustomize/cleanup', import.meta.url))
  const { stdout, error } = spawnSync('kubectl', ['kustomize', path])
  if (error !== undefined) return t.skip('kubectl is not installed')
  assert.equal(stdout.toString(), renderedText('cleanup'))
})

test('alerts ask for metrics that exist, and monitoring for the port that is opened', async () => {
  const readers = { readCounters: () => [], readMaps: () => [], readFrontends: () => [] }
  const metrics = new Metrics(readers, '0', { reportedVersion: undefined, featureGates: new Map() })
  const { body } = await metrics.scrape()
  const manifests = rendered('monitoring')
  const expressions = alertsOf(manifests).map(({ expr }) => expr)
  assert.ok(expressions.length > 5)
  for (const name of expressions.join(' ').match(/\bkube(shunt|proxy)_\w+/g) ?? [])
    assert.match(body, new RegExp(`^# TYPE ${name} `, 'm'))
  const config = manifests.find(({ kind }) => kind === 'ConfigMap')!.data!['config.conf']!
  assert.match(config, /^metricsBindAddress: 0\.0\.0\.0:10249$/m)
  const monitor = JSON.stringify(manifests.find(({ kind }) => kind === 'PodMonitor'))
  assert.equal(monitor.match(/\$1\]?:10249/g)?.length, 2)
})

test('the seccomp profile names system calls that exist, and none that gives rights away', () => {
  const profile = readProfile()
  assert.equal(profile.defaultAction, 'SCMP_ACT_ERRNO')
  const names = profile.syscalls.flatMap((entry) => entry.names)
  assert.equal(new Set(names).size, names.length)
  const known = syscallNumbers()
  if (process.arch === 'x64') for (const name of names) assert.ok(known.has(name), name)
  const unwanted = [
    'mount',
    'ptrace',
    'unshare',
    'setns',
    'init_module',
    'chroot',
    'perf_event_open',
  ]
  for (const name of [...unwanted, 'keyctl', 'io_uring_setup', 'userfaultfd'])
    assert.ok(!names.includes(name), name)
})

test('manifests: a text of several documents is read whole', () => {
  assert.equal(parseManifests('kind: A\n---\nkind: B\n---\n').length, 2)
})
