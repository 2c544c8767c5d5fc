import { writeFileSync } from 'node:fs'
import { readProxyConfig } from '../config.ts'
import { messageOf, ShuntError } from '../errors.ts'
import { readGoBoolean } from '../proxy-config/read-value.ts'
import { writeProxyConfig } from '../proxy-config/write.ts'
import { cleanUp } from './cleanup.ts'
import { textOf, type Flags } from './flags.ts'
import { print } from './output.ts'

/** Does what kube-proxy's --write-config-to or --cleanup asks for; false: neither was given. */
export async function runOneShot(flags: Flags): Promise<boolean> {
  const path = textOf(flags, 'write-config-to') ?? ''
  const proxyConfig = readProxyConfig(flags)
  if (path !== '') {
    writeConfig(path, writeProxyConfig(proxyConfig.values))
    print(`wrote the configuration to ${path}\n`)
    return true
  }
  if (!isOn(flags, 'cleanup')) return false
  await cleanUp(flags)
  return true
}

/** Whether a boolean flag of kube-proxy's is set. */
export function isOn(flags: Flags, name: string): boolean {
  const text = textOf(flags, name)
  const isSet = text === undefined ? false : readGoBoolean(text)
  if (isSet !== undefined) return isSet
  const what = `--${name}: ${JSON.stringify(text)} is not allowed: use true or false`
  throw new ShuntError('KSH_USAGE', what)
}

function writeConfig(path: string, text: string): void {
  try {
    writeFileSync(path, text)
  } catch (cause) {
    const what = `--write-config-to: cannot write ${path}: ${messageOf(cause)}`
    throw new ShuntError('KSH_RUNTIME', what, { cause })
  }
}
