#!/usr/bin/env node
// Starts main.ts under the project's own Node 24, also when the caller's `node` is older.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('main.ts', import.meta.url))
const pinned = fileURLToPath(new URL('../node_modules/node/bin/node', import.meta.url))
const runsTypeScript = Number(process.versions.node.split('.')[0]) >= 24

// Started as kube-proxy, it takes flags only, and may have none.
const [first = '-'] = process.argv.slice(2)
if (basename(process.argv[1]) === 'kube-proxy' && first.startsWith('-')) {
  process.argv.splice(2, 0, 'run')
}

if (runsTypeScript) {
  // The agent takes most of a second to load, and may be asked to end while it does.
  if (/^(run$|-)/.test(process.argv[2] ?? '')) (await import('./end-signal.ts')).askedToEnd()
  await import('./main.ts')
} else if (existsSync(pinned)) {
  const child = spawn(pinned, [main, ...process.argv.slice(2)], { stdio: 'inherit' })
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('exit', (code, signal) => {
    if (signal) process.kill(process.pid, signal)
    else process.exit(code ?? 1)
  })
} else {
  console.error('kube-shunt: Node 24 is needed; run `npm install` in the project folder')
  process.exit(3)
}
