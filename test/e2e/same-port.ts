/**
 * Runs in a pod: opens one TCP connection to each address from the same local port, and only then
 * asks on all of them. Prints the names that answer, in the order of the addresses.
 * Usage: node same-port.ts LOCAL-PORT ADDRESS:PORT ...
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

const [localPort, ...targets] = process.argv.slice(2)
const sockets: Socket[] = []
for (const target of targets) {
  const colon = target.lastIndexOf(':')
  const host = target.slice(0, colon).replace(/^\[|\]$/g, '')
  const socket = connect({
    host,
    port: Number(target.slice(colon + 1)),
    localPort: Number(localPort),
  })
  await once(socket, 'connect')
  sockets.push(socket)
}
const names: string[] = []
for (let round = 0; round < 3; round++)
  for (const socket of sockets) {
    socket.write('who\n')
    const [answer] = (await once(socket, 'data')) as [Buffer]
    names.push(answer.toString().split(' ')[0]!)
  }
console.log(JSON.stringify(names))
for (const socket of sockets) socket.destroy()
