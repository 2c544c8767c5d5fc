import { once } from 'node:events'

const signals = ['SIGTERM', 'SIGINT'] as const
let asked: AbortSignal | undefined

/**
 * Aborts at the first SIGTERM or SIGINT since this was first called, with its name as the reason.
 * Whoever has called it once ends by itself; a second signal of the same kind ends the process.
 */
export function askedToEnd(): AbortSignal {
  asked ??= listen()
  return asked
}

function listen(): AbortSignal {
  const controller = new AbortController()
  for (const signal of signals) process.once(signal, () => controller.abort(signal))
  return controller.signal
}

/** Settles with the name of the signal when one has come. */
export async function nextSignal(): Promise<NodeJS.Signals> {
  const signal = askedToEnd()
  if (!signal.aborted) await once(signal, 'abort')
  return signal.reason as NodeJS.Signals // as given above
}
