import { styleText } from 'node:util'
import type { NodeView, ServiceView, View } from './view.ts'

/** What surrounds the view: where the play is, and what happened so far. */
export interface Frame {
  readonly view: View
  readonly seconds: number
  readonly scene: string
  readonly profile: string
  readonly events: readonly string[]
  readonly columns: number
  readonly rows: number
}

type Style = Parameters<typeof styleText>[0]
export type Paint = (style: Style, text: string) => string

/** No colour. */
export const unpainted: Paint = (_style, text) => text

/** Colour, whatever the stream: whoever asks has looked. */
export const painted: Paint = (style, text) => styleText(style, text, { validateStream: false })

/** The whole screen as lines, at most as many and as wide as there is room for. */
export function drawScreen(frame: Frame, paint: Paint): string[] {
  const { view, columns, rows } = frame
  const head = [
    `${paint('bold', 'kube-shunt demo')}  ${frame.profile}, 2 nodes, dual-stack  ${clock(frame.seconds)}`,
    paint(['bold', 'cyan'], frame.scene),
    '',
    paint('dim', 'SERVICE  ADDRESS                 ANSWERS/S    P50  WHERE THEY LAND'),
    ...view.services.flatMap((service) => drawService(service, columns, paint)),
    '',
    drawConnections(view, paint),
    drawRequests(view, paint),
    ...view.nodes.map((node) => drawNode(node, paint)),
    '',
  ]
  const room = Math.max(0, rows - 1 - head.length)
  const events = room === 0 ? [] : frame.events.slice(-room)
  return [...head, ...events].slice(0, rows - 1).map((line) => fit(line, columns))
}

/** The same in one line, for pipes. */
export function drawLine({ services, connections, requests, nodes }: View): string {
  const rates = services.map(({ name, perSecond, failedPerSecond, backends }) =>
    backends.length === 0
      ? `${name} ${failedPerSecond.toFixed(0)} refused/s`
      : `${name} ${perSecond.toFixed(0)}/s`,
  )
  const agents = nodes.map(({ name, state }) => `${name} ${state}`)
  return [
    rates.join(', '),
    `${connections.open}/${connections.flows} connections open, ${connections.resets} reset`,
    `${requests.failed} failed`,
    `agents: ${agents.join(', ')}`,
  ].join(' | ')
}

/** "01:05" */
export function clock(seconds: number): string {
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0')
  return `${two(seconds / 60)}:${two(seconds % 60)}`
}

function drawService(service: ServiceView, columns: number, paint: Paint): string[] {
  const { name, address, perSecond, failedPerSecond, backends, p50 } = service
  const title = `${name.padEnd(8)} ${address.padEnd(23)}`
  if (backends.length === 0) {
    const why = Object.keys(service.failures).join(', ')
    const refused = `${failedPerSecond.toFixed(0)} refused`.padStart(9)
    return [`${title} ${refused} ${micros(p50)}  ${paint('yellow', why || '-')}`]
  }
  const width = Math.max(5, Math.min(28, columns - 75))
  const most = Math.max(1, ...backends.map((backend) => backend.perSecond))
  return backends.map((backend, at) => {
    const length = Math.round((backend.perSecond / most) * width)
    const bar = paint('green', '█'.repeat(length)) + ' '.repeat(width - length)
    const first = `${title} ${perSecond.toFixed(0).padStart(9)} ${micros(p50)}`
    const note = backend.isPresent ? backend.node : paint('yellow', `${backend.node} away`)
    const rate = backend.perSecond.toFixed(0).padStart(4)
    return `${at === 0 ? first : ' '.repeat(49)}  ${backend.name} ${bar} ${rate} ${note}`
  })
}

function micros(value: number): string {
  return (
    value === 0 ? '-' : value < 1000 ? `${value.toFixed(0)}µs` : `${(value / 1000).toFixed(1)}ms`
  ).padStart(6)
}

function drawConnections({ connections }: View, paint: Paint): string {
  const { flows, open, resets, timeouts, longestMs } = connections
  return [
    'connections ',
    good(open === flows, paint)(`${open}/${flows} open`),
    good(resets === 0, paint)(`${resets} reset`),
    good(timeouts === 0, paint)(`${timeouts} timed out`),
    `longest wait ${longestMs.toFixed(0)} ms`,
  ].join('  ')
}

function drawRequests({ requests }: View, paint: Paint): string {
  const { answered, failed, longestSilenceMs } = requests
  return [
    'requests    ',
    `${answered} answered`,
    good(failed === 0, paint)(`${failed} failed`),
    `longest silence ${longestSilenceMs.toFixed(0)} ms`,
  ].join('  ')
}

function drawNode({ name, state, pid, flows, created, dropped }: NodeView, paint: Paint): string {
  const label = state === 'running' ? `agent ${pid}` : `agent ${state.toUpperCase()}`
  const agent = paint(state === 'running' ? 'green' : ['bold', 'red'], label.padEnd(16))
  return `${name.padEnd(12)}  ${agent}  ${flows} flows in the table, ${created} made, ${dropped} packets dropped`
}

function good(isGood: boolean, paint: Paint): (text: string) => string {
  return (text) => paint(isGood ? 'green' : ['bold', 'red'], text)
}

/** Cuts what is visible; escape sequences take no room. */
function fit(line: string, columns: number): string {
  let width = 0
  let cut = ''
  for (const [piece] of line.matchAll(/\x1b\[[0-9;]*m|./gsu)) {
    const isSequence = piece.startsWith('\x1b')
    if (isSequence || width < columns) cut += piece
    if (!isSequence) width++
  }
  return cut
}
