import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { KubeObject } from './objects.ts'
import type { Cluster } from './types.ts'

/** What is needed of an API server that runs in this process or elsewhere on this machine. */
export interface ServerOnThisMachine {
  /** http(s)://127.0.0.1:PORT */
  readonly url: string
  put(object: KubeObject): unknown
}

export interface Access {
  readonly token?: string
  /** PEM of the authority that signed an https server's certificate. */
  readonly ca?: string
}

/**
 * Puts an API server on the cluster's LAN with all objects the cluster has so far; the answer is
 * a `source` for startAgent.
 */
export async function connectApiServer(
  cluster: Cluster,
  server: ServerOnThisMachine,
  access: Access = {},
): Promise<{ kubeconfig: string }> {
  const url = new URL(server.url)
  for (const object of cluster.objects.all()) server.put(object)
  const authority = await cluster.exposeOnLan(Number(url.port))
  const kubeconfig = join(cluster.directory, 'kubeconfig')
  writeFileSync(kubeconfig, kubeconfigText(`${url.protocol}//${authority}`, access))
  return { kubeconfig }
}

/** A kubeconfig as JSON, which is YAML too. */
export function kubeconfigText(server: string, { token, ca }: Access = {}): string {
  const name = 'cluster'
  const data = ca === undefined ? {} : { 'certificate-authority-data': btoa(ca) }
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server, ...data } }],
    users: [{ name, user: token === undefined ? {} : { token } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  })
}
