/**
 * Runs inside the LAN's namespace: opens a listening socket there and hands it to its parent,
 * whose own network need not be connected to the LAN at all. Ends when the parent has it, or ends.
 */
import { createServer } from 'node:net'

const server = createServer()
process.on('disconnect', () => process.exit(0))
server.listen({ host: process.argv[2], port: Number(process.argv[3]) }, () => {
  process.send!('listening', server)
})
