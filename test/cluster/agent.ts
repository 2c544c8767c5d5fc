import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { LoggingPlace } from './place.ts'
import type { Agent, AgentOptions, ClusterNode, Running } from './types.ts'

const launcher = fileURLToPath(new URL('../../src/launcher.js', import.meta.url))

/** /healthz is 200 while an agent starts, as kube-proxy's is: only this says that all is in place. */
const started = 'agent started'

/** What starting an agent on a node takes. */
export interface AgentSetting {
  readonly node: ClusterNode
  readonly place: LoggingPlace
  readonly clusterFile: string
  /** Where logs go. */
  readonly directory: string
}

/** The command line of `kube-shunt`, under the Node that runs us. */
export function shuntCommand(args: readonly string[]): string[] {
  return [process.execPath, launcher, ...args]
}

/** Starts `kube-shunt run` on a node and, unless told otherwise, waits until it is ready. */
export async function startAgent(
  setting: AgentSetting,
  options: AgentOptions = {},
): Promise<Agent> {
  const { node, place } = setting
  const logFile = join(setting.directory, `${node.name}-agent.log`)
  const process = place.spawn(shuntCommand(['run', ...agentFlags(setting, options)]), {
    logFile,
    ...(options.env && { env: options.env }),
  })
  const agent: Agent = {
    pid: process.pid,
    exited: process.exited,
    log: () => process.stdout(),
    ready: () => awaitReady(agent, process, options.readyTimeoutMs ?? 20_000),
    get: (path) => get(node, path),
    stop: (signal) => process.stop(signal),
    async restart(signal) {
      await process.stop(signal)
      return startAgent(setting, options)
    },
  }
  if (options.waitReady ?? true) {
    try {
      await agent.ready()
    } catch (error) {
      await process.stop('SIGKILL')
      throw error
    }
  }
  return agent
}

/** Small maps, because several agents share this machine; the caller's flags win. */
function agentFlags(setting: AgentSetting, options: AgentOptions): string[] {
  const { node } = setting
  const source = options.source ?? { clusterFile: setting.clusterFile }
  const flags = new Map<string, string>([
    ...(('clusterFile' in source
      ? [['--cluster-file', source.clusterFile]]
      : [['--kubeconfig', source.kubeconfig]]) as [string, string][]),
    ['--hostname-override', node.name],
    ['--bpffs', node.bpffs],
    ['--cgroup', node.cgroup],
    ['--flow-table-entries', '65536'],
    ['--frontends-max', '4096'],
    ['--backends-max', '16384'],
  ])
  const given = options.flags ?? []
  for (const flag of given) flags.delete(flag.split('=')[0]!)
  return [...[...flags].flat(), ...given]
}

async function awaitReady(agent: Agent, process: Running, milliseconds: number): Promise<void> {
  const deadline = Date.now() + milliseconds
  for (let last = 'no answer'; ; await Promise.race([wait(30), process.exited])) {
    if (process.hasEnded()) throw new Error(`the agent ended before it was ready\n${agent.log()}`)
    const answer = await agent.get('/healthz').catch(() => undefined)
    if (answer?.status === 200 && agent.log().includes(started)) return
    if (answer) last = `${answer.status} ${answer.body}`
    if (Date.now() > deadline)
      throw new Error(`the agent is not ready after ${milliseconds} ms: ${last}\n${agent.log()}`)
  }
}

async function get(node: ClusterNode, path: string): Promise<{ status: number; body: string }> {
  const host = node.addresses.IPv4 === '' ? '[::1]' : '127.0.0.1'
  const url = path.startsWith('http') ? path : `http://${host}:10256${path}`
  const { stdout } = await node.exec([
    ...['curl', '--silent', '--show-error', '--globoff', '--max-time', '5'],
    ...['--write-out', '\n%{http_code}', url],
  ])
  const end = stdout.lastIndexOf('\n')
  return { status: Number(stdout.slice(end + 1)), body: stdout.slice(0, end) }
}
