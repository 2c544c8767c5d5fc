import { statSync } from 'node:fs'
import { readMaterial } from './kubeconfig.ts'
import type { ClusterAccess, Material } from './kubeconfig.ts'

/** Options for a TLS connection; a new object whenever a file behind it was replaced. */
export interface TlsMaterial {
  readonly ca?: Buffer
  readonly cert?: Buffer
  readonly key?: Buffer
  readonly servername?: string
  readonly rejectUnauthorized: boolean
}

/** What proves who we are and who the server is, re-read when its files change. */
export class Credentials {
  readonly #access: ClusterAccess
  readonly #cacheMs: number
  readonly #now: () => number
  #tls: TlsMaterial | undefined
  #tlsStamp = ''
  #token: { text: string; readAt: number } | undefined

  constructor(access: ClusterAccess, cacheMs: number, now: () => number) {
    this.#access = access
    this.#cacheMs = cacheMs
    this.#now = now
  }

  /** The certificates as the files have them; half-replaced files keep the previous ones. */
  tls(): TlsMaterial {
    const { ca, certificate, key } = this.#access
    const stamp = [ca, certificate, key].map(fileStamp).join(' ')
    if (this.#tls && stamp === this.#tlsStamp) return this.#tls
    try {
      this.#tls = this.#readTls()
      this.#tlsStamp = stamp
    } catch (error) {
      if (!this.#tls) throw error
    }
    return this.#tls
  }

  /** The Authorization header, from a token read at most `cacheMs` ago. */
  authorization(): string | undefined {
    const { token, basic } = this.#access
    if (token) {
      if (!this.#token || this.#now() - this.#token.readAt >= this.#cacheMs) this.#readToken(token)
      return `Bearer ${this.#token?.text ?? ''}`
    }
    if (!basic) return undefined
    return `Basic ${Buffer.from(`${basic.username}:${basic.password}`).toString('base64')}`
  }

  /** Reads the token again at once; true when it is another one than before. */
  refreshToken(): boolean {
    const { token } = this.#access
    if (token?.kind !== 'file') return false
    const before = this.#token?.text
    this.#readToken(token)
    return this.#token?.text !== before
  }

  #readToken(material: Material): void {
    try {
      const text = readMaterial(material).toString('utf8').trim()
      if (text !== '' || !this.#token) this.#token = { text, readAt: this.#now() }
    } catch (error) {
      if (!this.#token) throw error
    }
  }

  #readTls(): TlsMaterial {
    const { ca, certificate, key, tlsServerName, insecureSkipTlsVerify } = this.#access
    return {
      rejectUnauthorized: !insecureSkipTlsVerify,
      ...(ca && { ca: readMaterial(ca) }),
      ...(certificate && { cert: readMaterial(certificate) }),
      ...(key && { key: readMaterial(key) }),
      ...(tlsServerName !== undefined && { servername: tlsServerName }),
    }
  }
}

/** Changes whenever a file is written, replaced or its symbolic link re-pointed. */
function fileStamp(material: Material | undefined): string {
  if (material?.kind !== 'file') return ''
  const stat = statSync(material.path, { throwIfNoEntry: false, bigint: true })
  return stat ? `${stat.dev}:${stat.ino}:${stat.mtimeNs}:${stat.size}` : 'missing'
}
