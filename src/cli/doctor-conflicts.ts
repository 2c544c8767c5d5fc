import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { queryTcx, queryXdp, type Direction } from '../datapath/native-attach.ts'
import { programInfoById } from '../datapath/native-info.ts'
import { readLinks } from '../devices/watch-links.ts'
import { messageOf } from '../errors.ts'
import { readText, type Finding } from './finding.ts'
import { ownProgramIds } from './hooks.ts'

const run = promisify(execFile)

/** Others on this node who handle Services or hold the same hooks. Looks only, changes nothing. */
export async function checkConflicts(bpffs: string): Promise<Finding[]> {
  return [checkKubeProxy(), ...(await checkRules()), ...(await checkPrograms(bpffs))]
}

function checkKubeProxy(): Finding {
  const feature = 'kube-proxy'
  const pids = readdirSync('/proc').filter(
    (name) => /^\d+$/.test(name) && readText(`/proc/${name}/comm`) === 'kube-proxy',
  )
  if (pids.length === 0) return { verdict: 'ok', feature, detail: 'not running' }
  const detail = `running (pid ${pids.join(', ')}): packets we do not know are left to it`
  return { verdict: 'note', feature, detail }
}

const ruleReaders = [
  { feature: 'iptables (nft) rules', command: 'iptables-nft-save', args: [] },
  { feature: 'iptables (legacy) rules', command: 'iptables-legacy-save', args: [] },
  { feature: 'nftables tables', command: 'nft', args: ['list', 'tables'] },
] as const

/* Reading rules takes their own tools; where a tool is absent nobody wrote rules with it here. */
async function checkRules(): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const { feature, command, args } of ruleReaders) {
    const text = await outputOf(command, args)
    if (text === undefined) continue
    const chains = new Set(text.match(/^:KUBE-(SERVICES|SVC|SEP|NODEPORTS|EXT|XLB)\S*/gm)).size
    const tables = text.match(/^table ip6? kube-proxy$/gm)?.length ?? 0
    const found = [
      ...(chains > 0 ? [`${chains} chains`] : []),
      ...(tables > 0 ? [`${tables} tables`] : []),
    ]
    if (found.length === 0) findings.push({ verdict: 'ok', feature, detail: 'none of kube-proxy' })
    else {
      const detail = `${found.join(', ')} of kube-proxy: harmless, but stale without it`
      findings.push({ verdict: 'note', feature, detail })
    }
  }
  return findings
}

async function outputOf(command: string, args: readonly string[]): Promise<string | undefined> {
  try {
    const { stdout } = await run(command, args, { timeout: 10_000, maxBuffer: 256 << 20 })
    return stdout
  } catch {
    return undefined
  }
}

async function checkPrograms(bpffs: string): Promise<Finding[]> {
  const feature = 'programs of others'
  try {
    const { links } = await readLinks()
    const own = ownProgramIds(join(bpffs, 'v1/links'))
    const foreign = [...links.values()].flatMap(({ index, name }) =>
      programsOf(index, own).map((program) => `${name} ${program}`),
    )
    if (foreign.length === 0) return [{ verdict: 'ok', feature, detail: 'none on tcx or XDP' }]
    return foreign.map((detail) => ({ verdict: 'note', feature, detail }))
  } catch (error) {
    return [{ verdict: 'note', feature, detail: `cannot be listed: ${messageOf(error)}` }]
  }
}

/** Programs on a device's hooks that are not ours. */
function programsOf(ifindex: number, own: ReadonlySet<number>): string[] {
  const onTcx = (['ingress', 'egress'] as const).flatMap((direction) =>
    tcxPrograms(ifindex, direction, own).map((name) => `${direction}: ${name}`),
  )
  const { programId, mode } = queryXdp(ifindex)
  return programId === 0 || own.has(programId)
    ? onTcx
    : [...onTcx, `XDP (${mode}): ${nameOf(programId)}`]
}

function tcxPrograms(ifindex: number, direction: Direction, own: ReadonlySet<number>): string[] {
  try {
    return queryTcx(ifindex, direction)
      .filter(({ programId }) => !own.has(programId))
      .map(({ programId }) => nameOf(programId))
      .filter((name) => !name.startsWith('shunt_'))
  } catch {
    return [] // no tcx on this kernel, or the device went away just now
  }
}

function nameOf(programId: number): string {
  try {
    const info = programInfoById(programId)
    return info === undefined ? `program ${programId}` : `${info.name} (program ${programId})`
  } catch {
    return `program ${programId}` // its name takes CAP_SYS_ADMIN
  }
}
