import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { loadProxyConfig, type ProxyConfig } from '../../src/proxy-config/load.ts'

const directory = mkdtempSync(join(tmpdir(), 'shunt-proxy-config-'))
after(() => rmSync(directory, { recursive: true }))

/** What flags alone say. */
export function load(flags: Readonly<Record<string, string>>): ProxyConfig {
  return loadProxyConfig((name) => flags[name])
}

let files = 0
/** What a file says, beside flags; its head is added. */
export function withFile(body: string, flags: Readonly<Record<string, string>> = {}): ProxyConfig {
  const path = join(directory, `config-${files++}.conf`)
  const head = 'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n'
  writeFileSync(path, body.startsWith('apiVersion') ? body : head + body)
  return load({ ...flags, config: path })
}
