import { existsSync, readdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { isBpffs } from '../datapath/native-system.ts'
import { readText, type Finding } from './finding.ts'

/** Privileges, mounts and settings of this node. */
export function checkHost(bpffs: string): Finding[] {
  return [
    checkPrivileges(),
    checkBpffs(bpffs),
    checkCgroup(),
    checkForwarding('IPv4', 'net/ipv4/ip_forward'),
    checkForwarding('IPv6', 'net/ipv6/conf/all/forwarding'),
    checkReversePath(),
    checkBridges(),
  ]
}

const capabilities = { netAdmin: 12n, sysAdmin: 21n, bpf: 39n } as const

function checkPrivileges(): Finding {
  const hex = /^CapEff:\s*([0-9a-f]+)$/m.exec(readText('/proc/self/status') ?? '')?.[1]
  const held = BigInt(`0x${hex ?? '0'}`)
  const has = (bit: bigint): boolean => ((held >> bit) & 1n) === 1n
  const lacks = [
    ...(has(capabilities.bpf) || has(capabilities.sysAdmin) ? [] : ['CAP_BPF']),
    ...(has(capabilities.netAdmin) ? [] : ['CAP_NET_ADMIN']),
  ]
  const feature = 'privileges'
  if (lacks.length > 0) return { verdict: 'missing', feature, detail: lacks.join(', ') }
  return { verdict: 'ok', feature, detail: 'CAP_BPF and CAP_NET_ADMIN' }
}

function checkBpffs(bpffs: string): Finding {
  const nearest = existsSync(bpffs) ? bpffs : dirname(bpffs)
  const feature = 'bpf file system'
  if (existsSync(nearest) && isBpffs(nearest)) return { verdict: 'ok', feature, detail: nearest }
  const detail = `${nearest} is none: mount -t bpf bpf /sys/fs/bpf, or use --bpffs`
  return { verdict: 'missing', feature, detail }
}

function checkCgroup(): Finding {
  const mounts = (readText('/proc/self/mountinfo') ?? '').split('\n')
  const path = mounts.find((line) => line.includes(' - cgroup2 '))?.split(' ')[4]
  const feature = 'cgroup v2 mount'
  if (path !== undefined) return { verdict: 'ok', feature, detail: path }
  return { verdict: 'note', feature, detail: 'none: no translation at the socket' }
}

function checkForwarding(family: string, setting: string): Finding {
  const feature = `${family} forwarding`
  const value = readText(`/proc/sys/${setting}`)
  if (value === '1') return { verdict: 'ok', feature, detail: 'on' }
  if (value === undefined) return { verdict: 'note', feature, detail: `no ${family} here` }
  const name = setting.replaceAll('/', '.')
  return {
    verdict: family === 'IPv4' ? 'warning' : 'note',
    feature,
    detail: `off: pods are not routed (sysctl ${name}=1)`,
  }
}

/* Strict checks drop replies that come back over another device than the kernel expects. */
function checkReversePath(): Finding {
  const folder = '/proc/sys/net/ipv4/conf'
  const all = Number(readText(`${folder}/all/rp_filter`) ?? 0)
  const names = existsSync(folder) ? readdirSync(folder) : []
  const strict = names.filter((name) => {
    const own = Number(readText(`${folder}/${name}/rp_filter`) ?? 0)
    return name !== 'all' && name !== 'default' && Math.max(all, own) === 1
  })
  const feature = 'reverse path filter'
  if (strict.length === 0) return { verdict: 'ok', feature, detail: 'not strict' }
  const list = `${strict.slice(0, 4).join(', ')}${strict.length > 4 ? ', ...' : ''}`
  return { verdict: 'note', feature, detail: `strict on ${list}: asymmetric routes drop` }
}

function checkBridges(): Finding {
  const value = readText('/proc/sys/net/bridge/bridge-nf-call-iptables')
  const feature = 'bridged traffic'
  const detail =
    value === '1'
      ? 'goes through iptables (bridge-nf-call-iptables=1)'
      : 'does not go through iptables; kube-shunt needs no such detour'
  return { verdict: 'ok', feature, detail }
}
