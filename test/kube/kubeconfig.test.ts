import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { ShuntError } from '../../src/errors.ts'
import { loadClusterAccess, readMaterial } from '../../src/kube/kubeconfig.ts'
import { scratch } from './support/certificates.ts'

/** A kubeconfig with one cluster and one user, as YAML flow maps. */
function kubeconfig(t: TestContext, cluster: string, user = '{}'): string {
  const directory = scratch(t)
  const path = join(directory, 'kubeconfig')
  writeFileSync(join(directory, 'ca.crt'), 'CA')
  mkdirSync(join(directory, 'secrets'))
  writeFileSync(join(directory, 'secrets', 'token'), 'TOKEN')
  writeFileSync(
    path,
    [
      'apiVersion: v1',
      'kind: Config',
      'current-context: default',
      'contexts: [{name: other, context: {cluster: nope}}, ',
      '  {name: default, context: {cluster: default, user: me}}]',
      `clusters: [{name: default, cluster: ${cluster}}]`,
      `users: [{name: me, user: ${user}}]`,
    ].join('\n'),
  )
  return path
}

function refused(run: () => unknown, pattern: RegExp): void {
  assert.throws(run, (error) => {
    assert.ok(error instanceof ShuntError)
    assert.equal(error.code, 'KSH_CONFIG')
    assert.match(error.message, pattern)
    return true
  })
}

const server = 'server: "https://10.0.0.1:6443/"'

test('loadClusterAccess reads kubeadm files: relative paths and tokenFile', (t) => {
  const path = kubeconfig(
    t,
    `{${server}, certificate-authority: ca.crt}`,
    '{tokenFile: secrets/token, token: older}',
  )
  const access = loadClusterAccess({ kubeconfig: path })
  assert.equal(access.server, 'https://10.0.0.1:6443')
  assert.ok(access.ca && access.token)
  assert.equal(readMaterial(access.ca).toString(), 'CA')
  assert.equal(readMaterial(access.token).toString(), 'TOKEN')
})

test('loadClusterAccess: data wins over files, basic auth and TLS options are taken', (t) => {
  const data = Buffer.from('INLINE').toString('base64')
  const path = kubeconfig(
    t,
    `{${server}, certificate-authority: ca.crt, certificate-authority-data: ${data}, tls-server-name: x}`,
    '{username: u, password: p}',
  )
  const access = loadClusterAccess({ kubeconfig: path })
  assert.ok(access.ca)
  assert.equal(readMaterial(access.ca).toString(), 'INLINE')
  assert.equal(access.tlsServerName, 'x')
  assert.deepEqual(access.basic, { username: 'u', password: 'p' })
  const insecure = kubeconfig(t, `{${server}, insecure-skip-tls-verify: true}`)
  assert.equal(loadClusterAccess({ kubeconfig: insecure }).insecureSkipTlsVerify, true)
})

test('loadClusterAccess: --master wins over the server of the kubeconfig and works alone', (t) => {
  const path = kubeconfig(t, `{${server}, certificate-authority: ca.crt}`, '{token: T}')
  const access = loadClusterAccess({ kubeconfig: path, master: 'https://other:1' })
  assert.equal(access.server, 'https://other:1')
  assert.ok(access.ca && access.token)
  assert.equal(loadClusterAccess({ master: '127.0.0.1:8080' }).server, 'http://127.0.0.1:8080')
  refused(() => loadClusterAccess({ master: 'ftp://x' }), /--master: "ftp:\/\/x" is not/)
})

test('loadClusterAccess uses the service account in a pod, IPv6 hosts too', (t) => {
  const directory = scratch(t)
  writeFileSync(join(directory, 'ca.crt'), 'CA')
  writeFileSync(join(directory, 'token'), 'TOKEN')
  const access = loadClusterAccess({
    environment: { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' },
    serviceAccountDirectory: directory,
  })
  assert.equal(access.server, 'https://[fd00::1]')
  assert.ok(access.token)
  assert.equal(readMaterial(access.token).toString(), 'TOKEN')
  refused(() => loadClusterAccess({ environment: {} }), /--kubeconfig, --master or --cluster-file/)
})

test('loadClusterAccess names file and field of what it refuses', (t) => {
  const cases: [string, string, RegExp][] = [
    ['{}', '{}', /clusters\[default\]\.cluster\.server is missing/],
    ['{server: "http://a b"}', '{}', /cluster\.server: "http:\/\/a b" is not an http or https URL/],
    [
      `{${server}, certificate-authority: none.crt}`,
      '{}',
      /certificate-authority: cannot read .*none\.crt/,
    ],
    [
      `{${server}, certificate-authority-data: "*"}`,
      '{}',
      /certificate-authority-data is not base64/,
    ],
    [`{${server}, proxy-url: "http://p"}`, '{}', /proxy-url proxies are not supported/],
    [
      `{${server}, insecure-skip-tls-verify: 1}`,
      '{}',
      /insecure-skip-tls-verify must be true or false/,
    ],
    [`{${server}}`, '{exec: {command: x}}', /users\[me\]\.user\.exec is not supported/],
    [`{${server}}`, '{auth-provider: {name: x}}', /auth-provider is not supported/],
    [`{${server}}`, '{token: 5}', /user\.token must be text/],
    [`{${server}}`, '{tokenFile: gone}', /tokenFile: cannot read .*gone/],
    [`{${server}}`, '{client-certificate: ca.crt}', /client-certificate and client-key/],
  ]
  for (const [cluster, user, pattern] of cases) {
    const path = kubeconfig(t, cluster, user)
    refused(() => loadClusterAccess({ kubeconfig: path }), pattern)
  }
})

test('loadClusterAccess names the place of broken YAML and of missing sections', (t) => {
  const path = join(scratch(t), 'kubeconfig')
  const load = () => loadClusterAccess({ kubeconfig: path })
  refused(load, /--kubeconfig: cannot read .*ENOENT/)
  writeFileSync(path, 'clusters: [\n  {name: x')
  refused(load, /kubeconfig: .* line \d+/)
  writeFileSync(path, 'clusters: []')
  refused(load, /current-context is missing/)
  writeFileSync(path, 'current-context: a')
  refused(load, /contexts: there is no entry with the name "a"/)
  writeFileSync(path, 'current-context: a\ncontexts: [{name: a, context: {cluster: b}}]')
  refused(load, /clusters: there is no entry with the name "b"/)
})
