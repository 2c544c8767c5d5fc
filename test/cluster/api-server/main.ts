// Runs the API server as a process of its own; prints one JSON line when it is ready.
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { parseAllDocuments } from 'yaml'
import { startApiServer } from './server.ts'
import type { KubeObject } from './types.ts'

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    host: { type: 'string', default: '127.0.0.1' },
    'control-port': { type: 'string', default: '0' },
    'service-cidrs': { type: 'string', default: '10.96.0.0/16,fd00:10:96::/112' },
    'bookmark-seconds': { type: 'string', default: '60' },
    token: { type: 'string' },
    'tls-key': { type: 'string' },
    'tls-cert': { type: 'string' },
    'client-ca': { type: 'string' },
    load: { type: 'string', multiple: true, default: [] },
  },
})

const { 'tls-key': key, 'tls-cert': cert, 'client-ca': clientCa, token } = values
const server = await startApiServer({
  port: Number(values.port),
  host: values.host,
  controlPort: Number(values['control-port']),
  serviceCidrs: values['service-cidrs'].split(','),
  bookmarkMs: Number(values['bookmark-seconds']) * 1000,
  ...(token !== undefined && { token }),
  ...(key !== undefined &&
    cert !== undefined && {
      tls: {
        key: readFileSync(key, 'utf8'),
        cert: readFileSync(cert, 'utf8'),
        ...(clientCa !== undefined && { clientCa: readFileSync(clientCa, 'utf8') }),
      },
    }),
})

type Loaded = (KubeObject & { items?: KubeObject[] }) | null

for (const file of values.load) {
  const text = readFileSync(file, 'utf8')
  const loaded = file.endsWith('.json')
    ? [JSON.parse(text) as Loaded]
    : parseAllDocuments(text).map((document) => document.toJS() as Loaded)
  for (const object of loaded) if (object) server.bulkLoad(object.items ?? [object])
}

console.log(JSON.stringify({ url: server.url, control: server.controlUrl }))
for (const signal of ['SIGTERM', 'SIGINT'] as const)
  process.once(signal, () => void server.close().then(() => process.exit(0)))
