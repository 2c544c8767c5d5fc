import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

/** A directory that is gone when the test is. */
export function scratch(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'kube-shunt-kube-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

export interface Authority {
  readonly ca: string
  /** A key and certificate; names are `DNS:x` or `IP:y`, none for a client. */
  issue(commonName: string, names?: string): { key: string; cert: string }
}

/** A certificate authority of its own, made with openssl. */
export function createAuthority(directory: string, name: string): Authority {
  const path = (file: string) => join(directory, `${name}-${file}`)
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  const keyAndRequest = (file: string, commonName: string) => [
    ...newKey,
    ...['-keyout', path(`${file}.key`), '-subj', `/CN=${commonName}`],
  ]
  openssl('req', '-x509', ...keyAndRequest('ca', name), '-days', '2', '-out', path('ca.crt'))
  return {
    ca: readFileSync(path('ca.crt'), 'utf8'),
    issue(commonName, names) {
      openssl('req', '-new', ...keyAndRequest(commonName, commonName), '-out', path('csr'))
      writeFileSync(path('extensions'), names === undefined ? '' : `subjectAltName=${names}\n`)
      openssl(
        ...['x509', '-req', '-in', path('csr'), '-CA', path('ca.crt'), '-CAkey', path('ca.key')],
        ...['-CAcreateserial', '-days', '2', '-extfile', path('extensions')],
        ...['-out', path(`${commonName}.crt`)],
      )
      return {
        key: readFileSync(path(`${commonName}.key`), 'utf8'),
        cert: readFileSync(path(`${commonName}.crt`), 'utf8'),
      }
    },
  }
}

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: 'pipe' })
}
