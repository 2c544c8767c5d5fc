import { readFileSync } from 'node:fs'
import { Counter, Gauge, type Registry } from 'prom-client'

/** Registers what kube-proxy tells of its process and prom-client does not. */
export function registerProcessMetrics(registry: Registry): void {
  const registers = [registry]
  for (const [name, what, field] of [
    ['receive', 'received by', 'InOctets'],
    ['transmit', 'sent by', 'OutOctets'],
  ] as const) {
    new Counter({
      name: `process_network_${name}_bytes_total`,
      help: `Number of bytes ${what} the process over the network.`,
      registers,
      collect() {
        this.reset()
        this.inc(networkBytes(field))
      },
    })
  }
  new Gauge({
    name: 'process_virtual_memory_max_bytes',
    help: 'Maximum amount of virtual memory available in bytes.',
    registers,
    collect() {
      this.set(addressSpaceLimit())
    },
  })
}

/* As in the Go client: of the network namespace, as the kernel counts no other way. */
function networkBytes(field: string): number {
  const lines = readLines('/proc/self/net/netstat').filter((line) => line.startsWith('IpExt:'))
  const [names = [], values = []] = lines.map((line) => line.split(' '))
  return Number(values[names.indexOf(field)] ?? 0)
}

function addressSpaceLimit(): number {
  const line = readLines('/proc/self/limits').find((one) => one.startsWith('Max address space'))
  const soft = line?.trim().split(/\s{2,}/)[1]
  return soft === undefined || soft === 'unlimited' ? 2 ** 64 : Number(soft)
}

function readLines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n')
  } catch {
    return []
  }
}
