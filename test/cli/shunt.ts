import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

export interface Ended {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs kube-shunt with these arguments to its end, outside any pod. */
export function shunt(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const env: NodeJS.ProcessEnv = { ...process.env, ...environment }
  if (environment['KUBERNETES_SERVICE_HOST'] === undefined) delete env['KUBERNETES_SERVICE_HOST']
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      [main, ...args],
      { env, timeout: 60_000 },
      (error, stdout, stderr) => {
        const status = error === null ? 0 : error.code
        if (typeof status === 'number') resolve({ status, stdout, stderr })
        else reject(new Error(`kube-shunt ${args.join(' ')} did not end by itself: ${stderr}`))
      },
    )
  })
}
