// Reflects the Services of the server in argv[2], aborts at the moment in argv[3], and should end.
import { services } from '../../../src/kube/resources.ts'
import { reflect } from '../../../src/kube/reflect.ts'
import { createTransport } from '../../../src/kube/transport.ts'
import { Mirror } from './mirror.ts'

const [, , server = '', moment = ''] = process.argv
const transport = createTransport({ server, insecureSkipTlsVerify: false })
const controller = new AbortController()
const mirror = new Mirror()
const ended = reflect({
  resource: services,
  transport,
  sink: mirror,
  signal: controller.signal,
  log: mirror.log,
  onHealth: mirror.onHealth,
})
if (moment === 'synced') await mirror.untilSynced()
else if (moment === 'down' || moment === 'listing')
  await mirror.until(() => mirror.health?.lastError !== undefined)
else await new Promise((resolve) => setTimeout(resolve, 200))
controller.abort()
await ended
await transport.close()
console.log('aborted')
