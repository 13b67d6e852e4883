import { benchPatches } from './patches.ts'
import { benchSnapshots } from './snapshots.ts'
import { benchWatchers } from './watchers.ts'

/** Everything of `bench:ag-ui`, by the name of its sub-command. */
const commands: Readonly<Record<string, (args: readonly string[]) => Promise<void>>> = {
  watchers: benchWatchers,
  patches: benchPatches,
  snapshots: benchSnapshots,
}

const [name = '', ...args] = process.argv.slice(2)
const command = commands[name]
if (command === undefined) {
  console.log(`Usage: bench:ag-ui ${Object.keys(commands).join('|')} [--help]`)
  process.exitCode = name === '' || name === '--help' ? 0 : 1
} else {
  await command(args)
}
