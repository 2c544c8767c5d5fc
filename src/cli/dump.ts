import type { CommandModule } from 'yargs'
import { mapInfo } from '../datapath/native-info.ts'
import { outputOption, rootOption, textOf } from './flags.ts'
import { isForward, rawEntries, type flowTables } from './flow-table.ts'
import { generationOf, readFrontends, type FrontendView } from './frontends.ts'
import { printJson } from './output.ts'
import { openPins, type Pins } from './pins.ts'

/** The `dump` command. */
export const dumpCommand: CommandModule = {
  command: 'dump',
  describe: 'what is programmed, read from the pinned maps',
  builder: (yargs) =>
    yargs.options({ ...rootOption, ...outputOption(['json']) }).default('output', 'json'),
  handler: (flags) => printJson(dumpOf(openPins(textOf(flags, 'bpffs') ?? ''))),
}

/** The programmed state in the shape that operators and tests rely on. */
export function dumpOf(pins: Pins): Readonly<Record<string, unknown>> {
  const dump = pins.dump()
  return {
    frontends: readFrontends(dump).map(frontendJson),
    flows: {
      count: countFlows(pins, 'flows').flows,
      halfOpen: countFlows(pins, 'half_open').flows,
      max: pins.withMap('flows', (fd) => mapInfo(fd).maxEntries),
    },
    generation: generationOf(dump),
  }
}

/** Entries of a flow table, and the flows among them: their client -> VIP halves. */
export function countFlows(
  pins: Pins,
  table: (typeof flowTables)[number],
): { readonly entries: number; readonly flows: number } {
  let entries = 0
  let flows = 0
  for (const [, value] of rawEntries(pins, table)) {
    entries++
    if (isForward(value)) flows++
  }
  return { entries, flows }
}

/** A frontend as the dump has it. */
export function frontendJson(view: FrontendView): Readonly<Record<string, unknown>> {
  const { address, port, protocol, kind, service, portName, word } = view
  const slotJson = (slot: FrontendView['backends'][number]) => ({
    address: slot.address,
    port: slot.port,
    local: slot.local,
  })
  return {
    address,
    port,
    protocol,
    kind,
    service,
    portName,
    backends: view.backends.map(slotJson),
    ...(view.clusterBackends && { clusterBackends: view.clusterBackends.map(slotJson) }),
    ...(view.draining.length > 0 && { draining: view.draining.map(slotJson) }),
    ...((kind === 'ClusterIP' ? word.localOnly : word.externalLocalOnly) && { localOnly: true }),
    ...(word.affinity && { affinitySeconds: word.affinitySeconds }),
    ...(word.maglev && { loadBalancing: 'maglev' }),
    ...(view.sourceRanges && { sourceRanges: view.sourceRanges }),
    generation: word.generation,
  }
}
