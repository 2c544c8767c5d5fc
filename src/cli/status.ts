import type { CommandModule } from 'yargs'
import { rootOption, outputOption, text, textOf, type Flags } from './flags.ts'
import type { Hook } from './hooks.ts'
import { formatTable, paint, print, printJson } from './output.ts'
import { openPins } from './pins.ts'
import {
  percent,
  pressureLimit,
  readStatus,
  type Healthz,
  type StatusReport,
} from './status-report.ts'
import { parseBindAddress, refuse } from './values.ts'

/** The `status` command: exit status 0 healthy, 1 not. */
export const statusCommand: CommandModule = {
  command: 'status',
  describe: 'is it working? one screen',
  builder: (yargs) =>
    yargs.options({
      ...rootOption,
      'healthz-bind-address': text("the agent's, as given to run", { default: '127.0.0.1:10256' }),
      ...outputOption(['json']),
    }),
  handler: async (flags) => {
    const pins = openPins(textOf(flags, 'bpffs') ?? '')
    const report = await readStatus(pins, healthzUrl(flags))
    if (textOf(flags, 'output') === 'json') printJson(statusJson(report))
    else print(statusText(report, pins.root.path))
    process.exitCode = report.isHealthy ? 0 : 1
  },
}

function healthzUrl(flags: Flags): string {
  const flag = { flag: '--healthz-bind-address', text: textOf(flags, 'healthz-bind-address') ?? '' }
  const address = parseBindAddress(flag, 10256) ?? refuse(flag, 'use ADDRESS:PORT')
  const any: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' }
  const host = any[address.host] ?? address.host
  return `http://${host.includes(':') ? `[${host}]` : host}:${address.port}/healthz`
}

function statusJson(report: StatusReport): unknown {
  return { ...report, counters: Object.fromEntries(report.counters) }
}

/** One screen for people. */
export function statusText(report: StatusReport, path: string): string {
  const { agent, frontends, flows } = report
  const verdict = report.isHealthy ? paint('green', 'healthy') : paint('red', 'not healthy')
  const services = `${frontends.addresses} addresses of ${frontends.services} Services`
  const summary = [
    ['Agent', agentText(agent)],
    ['Health', healthzText(agent.healthz)],
    ['Frontends', `${services}, generation ${frontends.generation}`],
    ['Flows', `${flows.established} with a reply, ${flows.halfOpen} half-open`],
  ]
  const sections = [
    `kube-shunt at ${path}: ${verdict}\n`,
    notesText(report),
    formatTable(summary),
    formatTable([['Map', 'Entries', 'Max', 'Use'], ...report.maps.map(mapRow)]),
    hooksText(report.hooks),
    countersText(report.counters),
  ]
  return sections.filter((section) => section !== '').join('\n')
}

function agentText({ holder, healthz }: StatusReport['agent']): string {
  if (holder !== undefined) return `running, pid ${holder.pid} (${holder.command.slice(0, 50)})`
  if (healthz.kind === 'answered') return 'running where this process cannot see it'
  return 'not running; the datapath goes on without it'
}

function healthzText(healthz: Healthz): string {
  if (healthz.kind !== 'answered') return `healthz: ${healthz.reason}`
  return `healthz: ${healthz.status}`
}

function notesText({ problems, warnings }: StatusReport): string {
  const lines = [
    ...problems.map((problem) => `${paint('red', 'problem')}: ${problem}\n`),
    ...warnings.map((warning) => `${paint('yellow', 'warning')}: ${warning}\n`),
  ]
  return lines.join('')
}

function mapRow({ map, entries, max }: StatusReport['maps'][number]): string[] {
  const isNearlyFull = max > 0 && entries / max >= pressureLimit
  const use = `${percent(entries, max)}${isNearlyFull ? ' nearly full' : ''}`
  return [map, String(entries), String(max), use]
}

function hooksText(hooks: readonly Hook[]): string {
  const rows = new Map<number, string[]>()
  for (const { ifindex, device, direction, isAttached } of hooks) {
    const row = rows.get(ifindex) ?? [device ?? '(gone)', String(ifindex)]
    rows.set(ifindex, [...row, isAttached ? direction : `${direction}: off`])
  }
  if (rows.size === 0) return 'Devices: no program is attached by a pinned link\n'
  return formatTable([['Device', 'Index', 'Hooks'], ...rows.values()])
}

function countersText(counters: ReadonlyMap<string, number>): string {
  const counted = [...counters].filter(([, count]) => count > 0)
  if (counted.length === 0) return 'Counters: all zero\n'
  const rows = counted.map(([name, count]) => [name, String(count)])
  return formatTable([['Counter', 'Packets'], ...rows])
}
