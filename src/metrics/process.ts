import { readFileSync } from 'node:fs'
import { collectDefaultMetrics, Counter, Gauge, type Registry } from 'prom-client'

/** Of what prom-client has, what says nothing of the agent or is named against the conventions. */
const unwanted = /^nodejs_(active|heap_space|eventloop_lag_(min|stddev))_/

/** Registers what kube-proxy tells of its process, and the few things worth knowing of Node. */
export function registerProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry })
  for (const { name } of registry.getMetricsAsArray()) {
    if (unwanted.test(name)) registry.removeSingleMetric(name)
  }
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
