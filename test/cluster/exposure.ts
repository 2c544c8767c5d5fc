import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { Server, Socket } from 'node:net'
import { enterCommand } from './place.ts'

const listener = fileURLToPath(new URL('lan-listener.ts', import.meta.url))

/** Where to listen. */
export interface Exposure {
  readonly netns: string
  readonly cgroup: string
  readonly host: string
  readonly port: number
}

/** Accepts connections at an address of another namespace and carries them to a local port. */
export async function exposePort(at: Exposure, localPort: number): Promise<{ close(): void }> {
  const handle = await openListener(at)
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (outer) => {
    const inner = connect({ host: '127.0.0.1', port: localPort, allowHalfOpen: true })
    for (const [socket, other] of [
      [outer, inner],
      [inner, outer],
    ] as const) {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => other.destroy())
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
      socket.pipe(other)
    }
  })
  server.listen(handle)
  await once(server, 'listening')
  return {
    close() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

async function openListener({ netns, cgroup, host, port }: Exposure): Promise<Server> {
  const listen = [process.execPath, listener, host, String(port)]
  const [file, ...args] = enterCommand(netns, cgroup, listen)
  const child = spawn(file!, args, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
  let complaint = ''
  child.stderr?.on('data', (chunk: Buffer) => (complaint += chunk.toString()))
  return new Promise((resolve, reject) => {
    child.once('message', (_text, handle) => {
      resolve(handle as Server)
      child.disconnect()
    })
    child.once('error', reject)
    child.once('close', () =>
      reject(new Error(`no listener at ${host}:${port} in ${netns}\n${complaint}`)),
    )
  })
}
