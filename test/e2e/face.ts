import { symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createAuthority } from '../kube/support/certificates.ts'
import { startApiServer, type ApiServer } from '../cluster/api-server/server.ts'
import { createCluster } from '../cluster/cluster.ts'
import type { Cluster, ClusterNode, Running } from '../cluster/types.ts'

const launcher = fileURLToPath(new URL('../../src/launcher.js', import.meta.url))

/** A node whose kube-proxy is ours, set up as kubeadm does: files in a directory, and a command. */
export interface KubeadmNode {
  readonly cluster: Cluster
  readonly node: ClusterNode
  readonly server: ApiServer
  /** What the ConfigMap is mounted as. */
  readonly configPath: string
  /** Writes config.conf, changed by this. */
  readonly writeConfig: (edit?: (text: string) => string) => void
  /** Starts the command of kubeadm's DaemonSet with more flags. */
  readonly start: (flags?: readonly string[]) => Running
  close(): Promise<void>
}

const token = 'the-service-account-token'

/** Builds a cluster of one node with two pods and an API server that wants TLS and a token. */
export async function kubeadmNode(): Promise<KubeadmNode> {
  const cluster = await createCluster({ profile: 'bridge', nodes: 1, podsPerNode: 2 })
  try {
    return await setUp(cluster)
  } catch (error) {
    await cluster.close()
    throw error
  }
}

async function setUp(cluster: Cluster): Promise<KubeadmNode> {
  const node = cluster.nodes[0]!
  const path = (name: string): string => join(cluster.directory, name)
  const authority = createAuthority(cluster.directory, 'cluster')
  const tls = authority.issue('server', `IP:${cluster.lan.addresses.IPv4}`)
  const server = await startApiServer({ tls, token })
  for (const object of cluster.objects.all()) server.put(object)
  const where = await cluster.exposeOnLan(Number(new URL(server.url).port))
  writeFileSync(path('ca.crt'), authority.ca)
  writeFileSync(path('token'), token)
  writeFileSync(path('kubeconfig.conf'), kubeconfig(where, path('ca.crt'), path('token')))
  symlinkSync(launcher, path('kube-proxy'))
  const configPath = path('config.conf')
  const writeConfig: KubeadmNode['writeConfig'] = (edit = (text) => text) =>
    writeFileSync(configPath, edit(config(path('kubeconfig.conf'))))
  writeConfig()
  const own = ['--bpffs', node.bpffs, '--cgroup', node.cgroup, '--flow-table-entries=65536']
  const command = [`--config=${configPath}`, `--hostname-override=${node.name}`]
  return {
    ...{ cluster, node, server, configPath, writeConfig },
    start: (flags = []) =>
      node.spawn([process.execPath, path('kube-proxy'), ...command, ...own, ...flags]),
    close: async () => {
      await cluster.close()
      await server.close()
    },
  }
}

/** As kubeadm writes it: the address of the server, and what every pod is given. */
export function kubeconfig(server: string, ca: string, tokenFile: string): string {
  return `apiVersion: v1
kind: Config
clusters:
- cluster:
    certificate-authority: ${ca}
    server: https://${server}
  name: default
contexts:
- context:
    cluster: default
    namespace: default
    user: default
  name: default
current-context: default
users:
- name: default
  user:
    tokenFile: ${tokenFile}
`
}

/** As kubeadm writes it: every field, most of them empty. */
export function config(kubeconfigPath: string): string {
  return `apiVersion: kubeproxy.config.k8s.io/v1alpha1
bindAddress: 0.0.0.0
bindAddressHardFail: false
clientConnection:
  acceptContentTypes: ""
  burst: 0
  contentType: ""
  kubeconfig: ${kubeconfigPath}
  qps: 0
clusterCIDR: 10.244.0.0/16
configSyncPeriod: 0s
conntrack:
  maxPerCore: null
  min: null
  tcpBeLiberal: false
  tcpCloseWaitTimeout: null
  tcpEstablishedTimeout: null
  udpStreamTimeout: 0s
  udpTimeout: 0s
detectLocal:
  bridgeInterface: ""
  interfaceNamePrefix: ""
detectLocalMode: ""
enableProfiling: false
healthzBindAddress: ""
hostnameOverride: ""
iptables:
  localhostNodePorts: null
  masqueradeAll: false
  masqueradeBit: null
  minSyncPeriod: 0s
  syncPeriod: 0s
ipvs:
  excludeCIDRs: null
  minSyncPeriod: 0s
  scheduler: ""
  strictARP: false
  syncPeriod: 0s
  tcpFinTimeout: 0s
  tcpTimeout: 0s
  udpTimeout: 0s
kind: KubeProxyConfiguration
logging:
  flushFrequency: 0
  options:
    json:
      infoBufferSize: "0"
    text:
      infoBufferSize: "0"
  verbosity: 0
metricsBindAddress: ""
mode: ""
nftables:
  masqueradeAll: false
  masqueradeBit: null
  minSyncPeriod: 0s
  syncPeriod: 0s
nodePortAddresses: null
oomScoreAdj: null
portRange: ""
showHiddenMetricsForVersion: ""
winkernel:
  enableDSR: false
  forwardHealthCheckVip: false
  networkName: ""
  rootHnsEndpointName: ""
  sourceVip: ""
`
}
