import { readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { parseDocument } from 'yaml'
import { messageOf, ShuntError } from '../errors.ts'
import { property, textProperty } from './parse-raw.ts'

/** A secret or certificate: given in place, or in a file that may be replaced while we run. */
export type Material =
  | { readonly kind: 'inline'; readonly data: Buffer }
  | { readonly kind: 'file'; readonly path: string; readonly field: string }

/** Everything needed to talk to one API server. */
export interface ClusterAccess {
  /** Base URL without a slash at the end. */
  readonly server: string
  readonly tlsServerName?: string
  readonly insecureSkipTlsVerify: boolean
  readonly ca?: Material
  readonly certificate?: Material
  readonly key?: Material
  readonly token?: Material
  readonly basic?: { readonly username: string; readonly password: string }
}

export interface AccessOptions {
  /** Path of a kubeconfig; without one and without master, the pod's service account is used. */
  readonly kubeconfig?: string
  /** Server URL that wins over the kubeconfig's. */
  readonly master?: string
  readonly environment?: Readonly<Record<string, string | undefined>>
  readonly serviceAccountDirectory?: string
}

/** How to reach the API server, found the way kube-proxy finds it. */
export function loadClusterAccess(options: AccessOptions): ClusterAccess {
  const access = findAccess(options)
  for (const material of [access.ca, access.certificate, access.key, access.token])
    if (material) readMaterial(material)
  if ((access.certificate === undefined) !== (access.key === undefined))
    fail('kubeconfig: client-certificate and client-key: one is given without the other')
  return access
}

/** The bytes of a material now. */
export function readMaterial(material: Material): Buffer {
  if (material.kind === 'inline') return material.data
  try {
    return readFileSync(material.path)
  } catch (cause) {
    return fail(`${material.field}: cannot read ${material.path}: ${messageOf(cause)}`, cause)
  }
}

function findAccess(options: AccessOptions): ClusterAccess {
  const { kubeconfig, master } = options
  if (kubeconfig !== undefined && kubeconfig !== '') return readKubeconfig(kubeconfig, master)
  if (master !== undefined && master !== '')
    return { server: serverUrl(master, '--master'), insecureSkipTlsVerify: false }
  return inClusterAccess(options)
}

function inClusterAccess(options: AccessOptions): ClusterAccess {
  const environment = options.environment ?? process.env
  const directory =
    options.serviceAccountDirectory ?? '/var/run/secrets/kubernetes.io/serviceaccount'
  const host = environment['KUBERNETES_SERVICE_HOST'] ?? ''
  const port = environment['KUBERNETES_SERVICE_PORT'] ?? ''
  if (host === '' || port === '')
    fail(
      'no API server: give --kubeconfig, --master or --cluster-file ' +
        '(KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set, so this is not a pod)',
    )
  const authority = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
  return {
    server: serverUrl(`https://${authority}`, 'KUBERNETES_SERVICE_HOST'),
    insecureSkipTlsVerify: false,
    ca: { kind: 'file', path: join(directory, 'ca.crt'), field: 'service account' },
    token: { kind: 'file', path: join(directory, 'token'), field: 'service account' },
  }
}

function readKubeconfig(path: string, master: string | undefined): ClusterAccess {
  const file = new KubeconfigFile(path)
  const { cluster, user } = file.current()
  if (cluster.text('proxy-url') !== '') cluster.fail('proxy-url', 'proxies are not supported')
  const server = master ?? cluster.text('server')
  if (server === '') cluster.fail('server', 'is missing')
  const ca = cluster.material('certificate-authority')
  const tlsServerName = cluster.text('tls-server-name')
  const insecureSkipTlsVerify = cluster.flag('insecure-skip-tls-verify')
  if (insecureSkipTlsVerify && ca)
    cluster.fail('insecure-skip-tls-verify', 'cannot be combined with a certificate authority')
  return {
    server: serverUrl(server, master === undefined ? cluster.name('server') : '--master'),
    insecureSkipTlsVerify,
    ...(ca && { ca }),
    ...(tlsServerName !== '' && { tlsServerName }),
    ...(user && readUser(user)),
  }
}

function readUser(user: Section): Partial<ClusterAccess> {
  for (const field of ['exec', 'auth-provider', 'as'])
    if (user.has(field))
      user.fail(field, 'is not supported; use a token, tokenFile or client certificate')
  const certificate = user.material('client-certificate')
  const key = user.material('client-key')
  const token = user.token()
  const username = user.text('username')
  return {
    ...(certificate && { certificate }),
    ...(key && { key }),
    ...(token && { token }),
    ...(username !== '' && { basic: { username, password: user.text('password') } }),
  }
}

/** One named cluster, user or context of a kubeconfig; knows how to name its fields in errors. */
class Section {
  readonly #path: string
  readonly #where: string
  readonly #raw: unknown

  constructor(path: string, where: string, raw: unknown) {
    this.#path = path
    this.#where = where
    this.#raw = raw
  }

  has(field: string): boolean {
    return (property(this.#raw, field) ?? undefined) !== undefined
  }

  name(field: string): string {
    return `${this.#path}: ${this.#where}.${field}`
  }

  fail(field: string, what: string): never {
    return fail(`${this.name(field)} ${what}`)
  }

  text(field: string): string {
    const value = property(this.#raw, field)
    if (value !== undefined && value !== null && typeof value !== 'string')
      this.fail(field, 'must be text')
    return textProperty(this.#raw, field)
  }

  flag(field: string): boolean {
    const value = property(this.#raw, field) ?? false
    return typeof value === 'boolean' ? value : this.fail(field, 'must be true or false')
  }

  /** `FIELD-data` (base64) wins over `FIELD` (a file), as in client-go. */
  material(field: string): Material | undefined {
    const encoded = this.text(`${field}-data`)
    if (encoded !== '') {
      if (!/^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(encoded)) this.fail(`${field}-data`, 'is not base64')
      return { kind: 'inline', data: Buffer.from(encoded, 'base64') }
    }
    return this.file(field)
  }

  /** A path, relative to the folder of the kubeconfig. */
  file(field: string): Material | undefined {
    const path = this.text(field)
    if (path === '') return undefined
    return { kind: 'file', path: resolve(dirname(this.#path), path), field: this.name(field) }
  }

  /** `tokenFile` wins over `token`, as in client-go. */
  token(): Material | undefined {
    const token = this.text('token')
    return (
      this.file('tokenFile') ??
      (token === '' ? undefined : { kind: 'inline', data: Buffer.from(token) })
    )
  }
}

class KubeconfigFile {
  readonly #path: string
  readonly #raw: unknown

  constructor(path: string) {
    this.#path = path
    const text = readMaterial({ kind: 'file', path, field: '--kubeconfig' }).toString('utf8')
    const document = parseDocument(text)
    const [problem] = document.errors
    if (problem) fail(`${path}: ${problem.message}`, problem)
    this.#raw = document.toJS()
  }

  /** The cluster and user that current-context names. */
  current(): { cluster: Section; user: Section | undefined } {
    const wanted = textProperty(this.#raw, 'current-context')
    if (wanted === '') fail(`${this.#path}: current-context is missing`)
    const context = this.#section('contexts', 'context', wanted)
    const user = context.text('user')
    return {
      cluster: this.#section('clusters', 'cluster', context.text('cluster')),
      user: user === '' ? undefined : this.#section('users', 'user', user),
    }
  }

  #section(list: string, field: string, name: string): Section {
    const entries = property(this.#raw, list)
    const entry = Array.isArray(entries)
      ? (entries as readonly unknown[]).find(
          (candidate) => textProperty(candidate, 'name') === name,
        )
      : undefined
    if (entry === undefined)
      fail(`${this.#path}: ${list}: there is no entry with the name ${JSON.stringify(name)}`)
    return new Section(this.#path, `${list}[${name}].${field}`, property(entry, field))
  }
}

function serverUrl(text: string, field: string): string {
  const url = URL.canParse(text.includes('://') ? text : `http://${text}`)
    ? new URL(text.includes('://') ? text : `http://${text}`)
    : undefined
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    return fail(`${field}: ${JSON.stringify(text)} is not an http or https URL`)
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
}

function fail(message: string, cause?: unknown): never {
  throw new ShuntError('KSH_CONFIG', message, { cause })
}
