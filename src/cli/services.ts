import type { CommandModule } from 'yargs'
import { flow } from '../datapath/abi.ts'
import { frontendJson } from './dump.ts'
import { outputOption, rootOption, text, textOf } from './flags.ts'
import { flowTables, isActive, isForward, rawEntries, rawStateOf } from './flow-table.ts'
import { endpointText, isOfService, readFrontends, type FrontendView } from './frontends.ts'
import { formatTable, print, printJson } from './output.ts'
import { openPins, type Pins } from './pins.ts'

/** The `services` command. */
export const servicesCommand: CommandModule = {
  command: 'services',
  describe: 'frontends and their backends, as ipvsadm -Ln shows them',
  builder: (yargs) =>
    yargs.options({
      ...rootOption,
      service: text('only this Service: NAMESPACE/NAME or NAMESPACE/NAME:PORTNAME'),
      ...outputOption(['json', 'wide']),
    }),
  handler: (flags) => {
    const pins = openPins(textOf(flags, 'bpffs') ?? '')
    const filter = textOf(flags, 'service')
    const views = readFrontends(pins.dump()).filter(
      (view) => filter === undefined || isOfService(filter, view),
    )
    const connections = countConnections(pins)
    const output = textOf(flags, 'output')
    if (output === 'json') printJson(views.map((view) => viewJson(view, connections)))
    else print(servicesText(views, connections, output === 'wide' ? pins : undefined))
  },
}

interface Connections {
  readonly active: number
  readonly inactive: number
}
type ConnectionsOf = (frontend: number, backend: number) => Connections

const offsetOf = (member: string): number =>
  flow.members.find(({ name }) => name === member)!.offset
const frontendOffset = offsetOf('frontend')
const backendOffset = offsetOf('backend')

/* One walk over the flow tables, whatever the number of Services. */
function countConnections(pins: Pins): ConnectionsOf {
  const counts = new Map<string, { active: number; inactive: number }>()
  for (const table of flowTables) {
    for (const [key, value] of rawEntries(pins, table)) {
      if (!isForward(value)) continue
      const name = `${value.readUInt32LE(frontendOffset)} ${value.readUInt32LE(backendOffset)}`
      const count = counts.get(name) ?? { active: 0, inactive: 0 }
      if (isActive(rawStateOf(key, value))) count.active++
      else count.inactive++
      counts.set(name, count)
    }
  }
  return (frontend, backend) => counts.get(`${frontend} ${backend}`) ?? { active: 0, inactive: 0 }
}

function viewJson(view: FrontendView, connections: ConnectionsOf): unknown {
  const slots = [...view.backends, ...view.draining]
  const flows = slots.map((slot) => ({
    backend: endpointText(slot.address, slot.port),
    ...connections(view.index, slot.id),
  }))
  return { ...frontendJson(view), flows }
}

/** Frontends in ipvsadm's look; with pins the wide one. */
function servicesText(
  views: readonly FrontendView[],
  connections: ConnectionsOf,
  wide: Pins | undefined,
): string {
  const stats = wide?.frontendStats()
  const rows: string[][] = [['Prot', 'LocalAddress:Port', 'Kind', 'Service']]
  const extra = (cells: string[]): string[] => (stats === undefined ? [] : cells)
  rows[0]!.push(...extra(['Index', 'Flags', 'Flows', 'Rejects']))
  const backendRows: string[][] = [
    ['  ->', 'RemoteAddress:Port', 'Weight', 'ActiveConn', 'InActConn'],
  ]
  backendRows[0]!.push('Where', ...extra(['Id']))
  const order: ('frontend' | 'backend')[] = ['frontend', 'backend']
  for (const view of views) {
    const name = view.portName === '' ? view.service : `${view.service}:${view.portName}`
    const { flows = 0, rejects = 0 } = stats?.(view.index) ?? {}
    const numbers = extra([String(view.index), flagsText(view), String(flows), String(rejects)])
    const local = endpointText(view.address, view.port)
    rows.push([view.protocol, local, view.kind, name, ...numbers])
    order.push('frontend')
    const slots = [
      ...view.backends.map((slot) => ({ slot, weight: '1' })),
      ...view.draining.map((slot) => ({ slot, weight: '0' })),
    ]
    for (const { slot, weight } of slots) {
      const { active, inactive } = connections(view.index, slot.id)
      const remote = endpointText(slot.address, slot.port)
      const where = slot.local ? 'local' : 'remote'
      const about = [weight, String(active), String(inactive), where, ...extra([String(slot.id)])]
      backendRows.push(['  ->', remote, ...about])
      order.push('backend')
    }
  }
  const lines = { frontend: linesOf(rows), backend: linesOf(backendRows) }
  return order.map((kind) => `${lines[kind].shift() ?? ''}\n`).join('')
}

function linesOf(rows: readonly (readonly string[])[]): string[] {
  return formatTable(rows).split('\n').slice(0, -1)
}

function flagsText({ word, sourceRanges }: FrontendView): string {
  const flags = [
    ...(word.localOnly ? ['local-only'] : []),
    ...(word.maglev ? ['maglev'] : []),
    ...(sourceRanges === undefined ? [] : [`source-ranges=${sourceRanges.join('+') || 'none'}`]),
    ...(word.affinity ? [`affinity=${word.affinitySeconds}s`] : []),
  ]
  return flags.length === 0 ? '-' : flags.join(',')
}
