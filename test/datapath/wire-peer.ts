/*
 * The two ends of a wire test, run in a namespace of their own.
 *   node wire-peer.ts serve PORT             echoes TCP bytes and datagrams, IPv4 and IPv6
 *   node wire-peer.ts ask ADDRESS PORT       sends much and checks that all of it comes back
 *   node wire-peer.ts refused ADDRESS PORT   expects to be told at once that nobody is there
 *   node wire-peer.ts listen ADDRESS PORT    waits for one datagram; its length and hash
 */
import { createHash, randomBytes } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'

const patience = 5000
/** Above 1472 they are fragmented on the way. */
const datagramSizes = [1, 2, 17, 100, 1400, 4000, 8000]

function openSocket(address: string): Socket {
  return createSocket(address.includes(':') ? 'udp6' : 'udp4')
}

function serve(port: number): void {
  createServer((socket) => {
    socket.on('error', () => socket.destroy())
    socket.pipe(socket)
  }).listen(port, '::', () => console.log('serving'))
  for (const [type, address] of [
    ['udp4', '0.0.0.0'],
    ['udp6', '::'],
  ] as const) {
    const socket = createSocket({ type, ipv6Only: type === 'udp6' })
    socket.on('message', (data, from) => socket.send(data, from.port, from.address))
    socket.bind(port, address)
  }
}

async function echoBytes(address: string, port: number, size: number): Promise<void> {
  const sent = randomBytes(size)
  const socket = connect({ host: address, port })
  socket.setTimeout(patience, () => socket.destroy(new Error('nothing came for a while')))
  socket.end(sent)
  const pieces: Buffer[] = []
  for await (const piece of socket) pieces.push(piece as Buffer)
  if (!Buffer.concat(pieces).equals(sent)) throw new Error(`${size} bytes came back changed`)
}

async function echoDatagram(address: string, port: number, size: number): Promise<void> {
  const socket = openSocket(address)
  try {
    socket.connect(port, address)
    await once(socket, 'connect')
    const sent = randomBytes(size)
    socket.send(sent)
    const [got] = (await once(socket, 'message', {
      signal: AbortSignal.timeout(patience),
    })) as [Buffer]
    if (!got.equals(sent)) throw new Error(`a datagram of ${size} came back changed`)
  } finally {
    socket.close()
  }
}

async function ask(address: string, port: number): Promise<void> {
  for (const size of [1, 1000, 100_000, 3_000_000]) await echoBytes(address, port, size)
  for (const size of datagramSizes) await echoDatagram(address, port, size)
  console.log('echoed')
}

async function refused(address: string, port: number): Promise<void> {
  const codeOf = (error: unknown): string =>
    error instanceof Error && 'code' in error ? String(error.code) : String(error)
  const tcp = await echoBytes(address, port, 1).then(() => 'echoed', codeOf)
  const udp = await echoDatagram(address, port, 1).then(() => 'echoed', codeOf)
  console.log(`TCP ${tcp}, UDP ${udp}`)
}

async function listen(address: string, port: number): Promise<void> {
  const socket = openSocket(address)
  socket.bind(port, address, () => console.log('listening'))
  const [data] = (await once(socket, 'message')) as [Buffer]
  console.log(`${data.length} ${createHash('sha256').update(data).digest('hex')}`)
  socket.close()
}

const [task = '', ...rest] = process.argv.slice(2)
const [address = '', port] = [rest[0], Number(rest[1])]
if (task === 'serve') serve(Number(address))
else if (task === 'ask') await ask(address, port)
else if (task === 'refused') await refused(address, port)
else if (task === 'listen') await listen(address, port)
else throw new Error(`unknown task ${task}`)
