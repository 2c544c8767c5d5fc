import type { NetworkOwner } from './datapath/network.ts'
import { parseServiceCidr } from './kube/parse-service-cidr.ts'
import type { ReflectorHealth, ReflectorSink } from './kube/sink.ts'
import type { Log } from './log.ts'
import { sameTexts } from './model/service-tracker.ts'
import { chooseServiceRanges, type Inhabited, type ServiceRanges } from './model/service-ranges.ts'

export interface ServiceRangesOptions {
  /** Ranges given by hand; undefined: those of the ServiceCIDR objects. */
  readonly given: readonly string[] | undefined
  readonly network: Pick<NetworkOwner, 'setServiceRanges'>
  readonly log: Pick<Log, 'info' | 'warn'>
}

/** Keeps the datapath told of the ranges that cluster IPs are from. */
export interface ServiceRangesFollower {
  /** Takes ServiceCIDR objects; undefined: they are not asked for. */
  readonly sink: ReflectorSink | undefined
  /** How the watch of them is: without them nothing is known. */
  health(health: ReflectorHealth): void
  node(node: Inhabited | undefined): void
  interfaces(addresses: readonly string[]): void
}

/**
 * Follows the ServiceCIDR objects, or keeps to the ranges given by hand. Until the first complete
 * list the datapath keeps what it knew; a server that has none to give (before 1.33) or forbids
 * them leaves us without.
 */
export function followServiceRanges(options: ServiceRangesOptions): ServiceRangesFollower {
  const { given } = options
  const byObject = new Map<string, readonly string[]>()
  let known: readonly string[] | undefined = given
  let inhabited: Inhabited = { addresses: [], podCIDRs: [] }
  let interfaceAddresses: readonly string[] = []
  const write = writerOf(options)
  const apply = (): void => {
    if (known !== undefined) write(chooseServiceRanges(known, inhabited, interfaceAddresses))
  }
  let isComplete = false
  const objectsChanged = (): void => {
    if (!isComplete) return
    known = [...byObject.values()].flat()
    apply()
  }
  apply()
  return {
    sink:
      given === undefined ? sinkOf(byObject, objectsChanged, () => (isComplete = true)) : undefined,
    health({ synced, lastError }) {
      if (synced || lastError === undefined || known !== undefined) return
      known = []
      apply()
    },
    node(node) {
      if (node === undefined) return
      inhabited = node
      apply()
    },
    interfaces(addresses) {
      if (sameTexts(addresses, interfaceAddresses)) return
      interfaceAddresses = addresses
      apply()
    },
  }
}

/** Says what it writes when that is something else than before. */
function writerOf({ network, log }: ServiceRangesOptions): (ranges: ServiceRanges) => void {
  let told = ''
  return (ranges) => {
    const { chosen, exempt, left } = ranges
    network.setServiceRanges(chosen, exempt)
    const text = JSON.stringify(ranges)
    if (text === told) return
    told = text
    for (const { range, reason } of left) {
      log.warn({ field: 'service range', value: range, reason }, 'service range left out')
    }
    log.info({ field: 'service ranges', value: chosen.join(',') || 'none' }, 'service ranges known')
  }
}

function sinkOf(
  byObject: Map<string, readonly string[]>,
  changed: () => void,
  complete: () => void,
): ReflectorSink {
  return {
    upsert(raw) {
      const { metadata } = raw as { readonly metadata: { readonly name: string } } // observed: it has one
      byObject.set(metadata.name, parseServiceCidr(raw))
      changed()
    },
    remove({ name }) {
      byObject.delete(name)
      changed()
    },
    synced() {
      complete()
      changed()
    },
  }
}
