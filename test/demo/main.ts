import { explorationLines } from './explore.ts'
import { parseOptions } from './options.ts'
import type { DemoOptions } from './options.ts'
import { play } from './scenes.ts'
import { canDraw, Show } from './show.ts'
import { setStage } from './stage.ts'
import type { Stage } from './stage.ts'
import { checkLines, endTraffic, judge, latestTotals } from './verdict.ts'
import { lookAt } from './view.ts'

const interrupted = 130

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2))
  if ('text' in options) {
    process.exitCode = options.code
    ;(options.code === 0 ? process.stdout : process.stderr).write(options.text)
    return
  }
  const show = new Show({ profile: options.profile, isScreen: !options.plain && canDraw() })
  leaveCleanly(show)
  try {
    await run(options, show)
  } catch (error) {
    show.close()
    process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exit(1) // the cluster library removes the cluster at exit
  }
}

async function run(options: DemoOptions, show: Show): Promise<void> {
  const stage = await setStage(options.profile, (step) => show.event(step))
  try {
    show.open(stage)
    const findings = await play(stage, show)
    const { nodes } = lookAt(stage)
    show.close()
    const totals = options.keep ? latestTotals(stage) : await endTraffic(stage)
    const checks = judge(totals, findings)
    const dropped = nodes.map((node) => `${node.name} ${node.dropped}`).join(', ')
    const lines = [
      `\nMeasured in ${show.seconds.toFixed(0)} s, profile ${options.profile}:`,
      ...checkLines(checks, Math.min(process.stdout.columns || 100, 100), show.paint),
      `       packets dropped by kube-shunt: ${dropped}`,
    ]
    const isKept = checks.every((check) => check.isKept)
    lines.push(isKept ? 'Every promise was kept.' : 'Not every promise was kept.')
    process.stdout.write(`${lines.join('\n')}\n`)
    if (!isKept) process.exitCode = 1
    if (options.keep) await explore(stage)
  } finally {
    await stage.cluster.close()
  }
}

/** Stays until Ctrl-C; traffic and agents go on. */
function explore(stage: Stage): Promise<void> {
  process.stdout.write(`\n${explorationLines(stage).join('\n')}\n`)
  return new Promise((resolve) => {
    onInterrupt = resolve
  })
}

let onInterrupt: (() => void) | undefined

/** Ctrl-C, or nobody reading any more: the terminal is given back and the cluster removed. */
function leaveCleanly(show: Show): void {
  const leave = (): void => {
    if (onInterrupt !== undefined) return onInterrupt()
    show.close()
    process.stderr.write('demo: interrupted, removing the cluster\n')
    process.exit(interrupted) // the cluster library removes the cluster at exit
  }
  process.on('SIGINT', leave)
  process.on('SIGTERM', leave)
  process.stdout.on('error', () => process.exit(interrupted))
}

await main()
