import type { CommandModule } from 'yargs'
import { ktimeCoarse } from '../datapath/native-system.ts'
import type { MapDump } from '../plan/restore.ts'
import { outputOption, rootOption, text, textOf, type Flags } from './flags.ts'
import { flowStates, readFlows, secondsSince, type FlowView } from './flow-table.ts'
import { endpointText, isOfService, parseEndpoint } from './frontends.ts'
import { formatTable, print, printJson } from './output.ts'
import { openPins } from './pins.ts'
import { parseChoice, refuse } from './values.ts'

/** The `flows` command. */
export const flowsCommand: CommandModule = {
  command: 'flows',
  describe: 'the flow table, filtered',
  builder: (yargs) =>
    yargs.options({
      ...rootOption,
      service: text('only this Service: NAMESPACE/NAME or NAMESPACE/NAME:PORTNAME'),
      client: text('only this client: ADDRESS or ADDRESS:PORT'),
      backend: text('only this backend: ADDRESS or ADDRESS:PORT'),
      state: text(`only this state: ${flowStates.join(', ')}`),
      count: { type: 'boolean', describe: 'only count, by state' },
      ...outputOption(['json', 'wide']),
    }),
  handler: (flags) => {
    const filter = filterOf(flags)
    const pins = openPins(textOf(flags, 'bpffs') ?? '')
    const names = namesOf(pins.dump())
    const now = ktimeCoarse()
    const onlyCounts = flags['count'] === true
    const counts: Counts = new Map()
    const found: NamedFlow[] = []
    for (const flow of readFlows(pins)) {
      const named = { ...flow, service: names(flow), seconds: secondsSince(flow.lastSeen, now) }
      if (!filter(named)) continue
      counts.set(flow.state, (counts.get(flow.state) ?? 0) + 1)
      if (!onlyCounts) found.push(named)
    }
    const output = textOf(flags, 'output')
    if (output === 'json')
      printJson({ ...(onlyCounts ? {} : { flows: found.map(flowJson) }), ...totals(counts) })
    else print(`${flowsText(found, output === 'wide')}${countsText(counts)}`)
  },
}

interface NamedFlow extends FlowView {
  /** namespace/name:portName, or undefined when the frontend is gone. */
  readonly service: string | undefined
  readonly seconds: number
}

type Filter = (flow: NamedFlow) => boolean

function filterOf(flags: Flags): Filter {
  const service = textOf(flags, 'service')
  const client = endpointFilter(flags, 'client')
  const backend = endpointFilter(flags, 'backend')
  const wanted = textOf(flags, 'state')
  const state =
    wanted === undefined ? undefined : parseChoice({ flag: '--state', text: wanted }, flowStates)
  return (flow) =>
    client(flow.client) &&
    backend(flow.backend) &&
    (state === undefined || flow.state === state) &&
    (service === undefined || isFlowOf(service, flow))
}

function isFlowOf(filter: string, flow: NamedFlow): boolean {
  if (flow.service === undefined) return false
  const [service = '', portName = ''] = flow.service.split(':')
  return isOfService(filter, { service, portName })
}

function endpointFilter(flags: Flags, name: string): (at: FlowView['client']) => boolean {
  const value = textOf(flags, name)
  if (value === undefined) return () => true
  const wanted = parseEndpoint(value)
  const flag = { flag: `--${name}`, text: value }
  if (wanted === undefined) return refuse(flag, 'use ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT')
  const { address, port } = wanted
  return (at) => at.address === address && (port === undefined || at.port === port)
}

function namesOf(dump: MapDump): (flow: FlowView) => string | undefined {
  const { indexes } = dump.limits
  return ({ frontend }) => (frontend < indexes ? dump.name(frontend)?.text : undefined)
}

type Counts = Map<string, number>

function totals(counts: Counts): { readonly total: number; readonly counts: unknown } {
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0)
  return { total, counts: Object.fromEntries(counts) }
}

function flowJson(flow: NamedFlow): unknown {
  const { protocol, client, vip, backend, state, service, seconds } = flow
  const { hairpin, portChanged, seenAs, fromNode, xdp } = flow
  const notes = { hairpin, portChanged, seenAs, fromNode, xdp }
  return { protocol, client, vip, backend, state, service, seconds, ...notes }
}

function flowsText(flows: readonly NamedFlow[], isWide: boolean): string {
  if (flows.length === 0) return ''
  const header = ['PROT', 'CLIENT', 'VIP', 'BACKEND', 'STATE', 'SEEN']
  const rows = flows.map((flow) => [
    flow.protocol,
    endpointText(flow.client.address, flow.client.port),
    endpointText(flow.vip.address, flow.vip.port),
    endpointText(flow.backend.address, flow.backend.port),
    flow.state,
    `${flow.seconds}s`,
    ...(isWide ? [notesText(flow), flow.service ?? '(gone)'] : []),
  ])
  return formatTable([[...header, ...(isWide ? ['NOTES', 'SERVICE'] : [])], ...rows])
}

function notesText({ hairpin, portChanged, seenAs, fromNode, xdp }: NamedFlow): string {
  const notes = [
    ...(hairpin ? ['hairpin'] : []),
    ...(seenAs === undefined ? [] : [`as ${endpointText(seenAs.address, seenAs.port)}`]),
    ...(portChanged && seenAs === undefined ? ['port-changed'] : []),
    ...(fromNode ? ['from-node'] : []),
    ...(xdp ? ['xdp'] : []),
  ]
  return notes.length === 0 ? '-' : notes.join(',')
}

function countsText(counts: Counts): string {
  const texts = [...counts].map(([state, count]) => `${count} ${state}`)
  return `${totals(counts).total} flows${texts.length > 0 ? `: ${texts.join(', ')}` : ''}\n`
}
