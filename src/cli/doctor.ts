import type { CommandModule } from 'yargs'
import { outputOption, rootOption, textOf } from './flags.ts'
import { checkConflicts } from './doctor-conflicts.ts'
import { checkHost } from './doctor-host.ts'
import { checkKernel } from './doctor-kernel.ts'
import { formatTable, paint, print, printJson } from './output.ts'
import type { Finding } from './finding.ts'

/** The `doctor` command: exit status 3 when something required is missing. */
export const doctorCommand: CommandModule = {
  command: 'doctor',
  describe: 'kernel, privileges, node settings and conflicts: a verdict per feature',
  builder: (yargs) => yargs.options({ ...rootOption, ...outputOption(['json']) }),
  handler: async (flags) => {
    const findings = [
      ...checkHost(textOf(flags, 'bpffs') ?? ''),
      ...checkKernel(),
      ...(await checkConflicts(textOf(flags, 'bpffs') ?? '')),
    ]
    const missing = findings.filter((finding) => finding.verdict === 'missing')
    if (textOf(flags, 'output') === 'json') printJson({ isFit: missing.length === 0, findings })
    else print(doctorText(findings, missing.length))
    process.exitCode = missing.length === 0 ? 0 : 3
  },
}

const colours = { ok: 'green', note: 'yellow', warning: 'yellow', missing: 'red' } as const

function doctorText(findings: readonly Finding[], missing: number): string {
  const rows = findings.map(({ verdict, feature, detail }) => [verdict, feature, detail])
  const table = formatTable(rows).replace(/^[a-z]+/gm, (word) =>
    word in colours ? paint(colours[word as keyof typeof colours], word) : word,
  )
  const verdict =
    missing === 0 ? 'kube-shunt can run here' : `kube-shunt cannot run here: ${missing} missing`
  return `${table}\n${verdict}\n`
}
