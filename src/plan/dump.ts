import type { FrontendImage, ServiceImage, TrackedBackend } from './image.ts'

export interface DumpOptions {
  /** Leave out numbers that depend on what was there before, and sort the backends. */
  readonly plain?: boolean
}

/** Images as text, one line per key and per backend; equal texts mean equal service. */
export function dumpImages(images: Iterable<ServiceImage>, options: DumpOptions = {}): string {
  const lines = new Set<string>()
  for (const image of images) {
    for (const frontend of image.frontends) {
      const about = frontendText(frontend, options)
      for (const key of frontend.keys) {
        lines.add(`FRONTEND ${key.text} ${about}`)
        if (frontend.ownsAddresses) lines.add(`VIP ${key.address}`)
      }
      for (const slot of frontend.slots) lines.add(stateText(frontend, slot, options))
    }
  }
  return [...lines]
    .sort()
    .map((line) => `${line}\n`)
    .join('')
}

function frontendText(frontend: FrontendImage, options: DumpOptions): string {
  const { slots, count, lead, localOnly, externalLocalOnly } = frontend
  const words = [frontend.kind, frontend.text]
  if (options.plain !== true) words.push(`index=${frontend.index}`)
  if (localOnly) words.push('local-only')
  else if (externalLocalOnly) words.push('external-local-only')
  if (frontend.choice !== 'random') words.push(frontend.choice)
  if (frontend.affinitySeconds > 0) words.push(`affinity=${frontend.affinitySeconds}s`)
  if (frontend.sourceRanges !== undefined) words.push(`source-ranges=${rangesText(frontend)}`)
  words.push(`backends=${listText(slots.slice(lead, count), options)}`)
  if (lead > 0) words.push(`external-only=${listText(slots.slice(0, lead), options)}`)
  if (slots.length > count) words.push(`spares=${listText(slots.slice(count), options)}`)
  return words.join(' ')
}

function rangesText({ sourceRanges = [] }: FrontendImage): string {
  return sourceRanges.length === 0 ? 'none' : [...sourceRanges].sort().join(',')
}

function listText(slots: readonly TrackedBackend[], options: DumpOptions): string {
  if (slots.length === 0) return 'none'
  const texts = slots.map((slot) => {
    const about = [...(slot.local ? ['local'] : []), ...(options.plain ? [] : [`id=${slot.id}`])]
    return `${endpointText(slot)}${about.length > 0 ? `(${about.join(',')})` : ''}`
  })
  return (options.plain === true ? texts.sort() : texts).join(',')
}

function stateText(frontend: FrontendImage, slot: TrackedBackend, options: DumpOptions): string {
  const number = options.plain === true ? '' : `id=${slot.id} generation=${slot.generation} `
  const state = slot.alive ? 'alive' : 'dead'
  return `BACKEND ${number}${state} ${frontend.servicePort} ${endpointText(slot)}`
}

function endpointText({ address, port }: TrackedBackend): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}
