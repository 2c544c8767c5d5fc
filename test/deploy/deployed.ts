import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before } from 'node:test'
import { startApiServer, type ApiServer } from '../cluster/api-server/server.ts'
import { createCluster } from '../cluster/cluster.ts'
import type { Cluster, ClusterNode, ClusterOptions } from '../cluster/types.ts'
import { config, kubeconfig } from '../e2e/face.ts'
import { answerOn, eventually, serviceFor } from '../e2e/serving.ts'
import { createAuthority } from '../kube/support/certificates.ts'
import { daemonSet, rendered, type Manifest, type Overlay } from './manifests.ts'
import { startPod, type PodSetting, type RunningPod } from './pod.ts'
import type { Image } from './root-file-system.ts'
import { readProfile, type Profile } from './seccomp.ts'

const token = 'the-token-of-the-service-account'
const account = '/var/run/secrets/kubernetes.io/serviceaccount'

/** A cluster of namespaces with an API server of TLS and tokens, in which manifests are run. */
export interface Deployed {
  readonly cluster: Cluster
  readonly server: ApiServer
  readonly authority: string
  /** Starts the pod of an overlay's DaemonSet on a node. */
  readonly start: (node: ClusterNode, overlay: Overlay, options?: StartOptions) => RunningPod
}

export interface StartOptions {
  /** Objects besides the overlay's. */
  readonly more?: readonly Manifest[]
  /** Default: the one the cluster was made with. */
  readonly image?: Image
  /** The system call filter; default: ours. */
  readonly profile?: Profile
  /** More flags, as an operator's patch or the chart's extraArgs give them. */
  readonly flags?: readonly string[]
}

/** Once for all tests of a file: every pod answers, Service 1 has those named b behind it. */
export function deployedForAll(image: () => Image, options: ClusterOptions): Deployed {
  const held: { deployed?: Deployed; close?: () => Promise<void> } = {}
  before(async () => {
    const cluster = await createCluster(options)
    held.close = () => cluster.close()
    await Promise.all(cluster.pods.map((pod) => answerOn(pod)))
    const backends = cluster.pods.filter(({ name }) => name === 'b')
    cluster.objects.put(...serviceFor(cluster, 1, backends))
    const deployed = await connect(cluster, image)
    held.deployed = deployed
    held.close = async () => {
      await cluster.close()
      await deployed.server.close()
    }
  })
  after(() => held.close?.())
  return new Proxy({} as Deployed, {
    get: (_target, name: keyof Deployed): unknown => held.deployed![name],
  })
}

async function connect(cluster: Cluster, image: () => Image): Promise<Deployed> {
  const authority = createAuthority(cluster.directory, 'cluster')
  const tls = authority.issue('server', `IP:${cluster.lan.addresses.IPv4}`)
  const server = await startApiServer({ tls, token })
  for (const object of cluster.objects.all()) server.put(object)
  const where = await cluster.exposeOnLan(Number(new URL(server.url).port))
  const serviceAccount = join(cluster.directory, 'account')
  mkdirSync(serviceAccount)
  writeFileSync(join(serviceAccount, 'token'), token)
  writeFileSync(join(serviceAccount, 'ca.crt'), authority.ca)
  const [host = '', port = ''] = where.split(':')
  return {
    cluster,
    server,
    authority: where,
    start(node, overlay, options = {}) {
      const { more = [], image: other = image(), profile = readProfile(), flags = [] } = options
      const manifests = [...rendered(overlay), ...more]
      const setting: PodSetting = {
        image: other,
        node,
        daemonSet: daemonSet(manifests),
        manifests,
        serviceAccount,
        apiServer: { host, port },
        profile,
        flags,
        directory: mkdtempSync(join(cluster.directory, 'pod-')),
      }
      return startPod(setting)
    },
  }
}

/** The ConfigMap that kubeadm makes for kube-proxy. */
export function kubeadmConfigMap({ authority }: Deployed): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'kube-proxy', namespace: 'kube-system' },
    data: {
      'config.conf': config('/var/lib/kube-proxy/kubeconfig.conf'),
      'kubeconfig.conf': kubeconfig(authority, `${account}/ca.crt`, `${account}/token`),
    },
  }
}

/** Waits until a pod's start-up probe succeeds; rejects with its log when it ends before. */
export async function untilStarted(pod: RunningPod): Promise<void> {
  await eventually(async () => {
    if (pod.process.hasEnded()) throw new Error(`the pod ended\n${pod.log()}`)
    if (!(await pod.isStarted())) throw new Error(`the pod has not started\n${pod.log()}`)
  }, 30_000)
}
