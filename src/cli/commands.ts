import type { CommandModule } from 'yargs'
import { cleanupCommand } from './cleanup.ts'
import { doctorCommand } from './doctor.ts'
import { dumpCommand } from './dump.ts'
import { flowsCommand } from './flows.ts'
import { servicesCommand } from './services.ts'
import { statusCommand } from './status.ts'

/** The commands that work from what is pinned, so also when the agent is dead. */
export const readingCommands: readonly CommandModule[] = [
  statusCommand,
  servicesCommand,
  flowsCommand,
  dumpCommand,
  doctorCommand,
  cleanupCommand,
]
