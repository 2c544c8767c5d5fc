/** Prints what is chosen of the devices of this network namespace: `node ... NODE-ADDRESS...`. */
import { choosePodDevices } from '../../src/devices/pod-devices.ts'
import { snatAddresses } from '../../src/devices/snat-addresses.ts'
import { chooseUplinks } from '../../src/devices/uplinks.ts'
import { readLinks } from '../../src/devices/watch-links.ts'

const nodeAddresses = process.argv.slice(2)
const table = await readLinks()
const choice = { globs: [], nodeAddresses }
const uplinks = chooseUplinks(table, choice)
const sources = snatAddresses(table, uplinks, nodeAddresses)
console.log(
  JSON.stringify({
    pods: choosePodDevices(table, choice).map(({ name }) => name),
    uplinks: uplinks.map((uplink) => ({ ...uplink, ...sources.get(uplink.index) })),
  }),
)
