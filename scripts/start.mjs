// @ts-check
// `pnpm start`: builds what the example page needs, then serves it in this very process, so that a Ctrl-C reaches it.
import { spawnSync } from 'node:child_process'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const cli = join(root, 'apps', 'server', 'dist', 'cli.js')

console.log('Building (the first time takes a minute) …')
const build = spawnSync(
  'turbo',
  ['run', 'build', '--filter=@polyphony/cli...', '--output-logs=errors-only'],
  {
    cwd: root,
    env: {
      ...process.env,
      PATH: [join(root, 'node_modules', '.bin'), process.env['PATH'] ?? ''].join(delimiter),
      TURBO_TELEMETRY_DISABLED: '1',
      DO_NOT_TRACK: '1',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
    shell: process.platform === 'win32',
  },
)
if (build.status === 0) {
  process.argv.splice(1, 1, cli, 'demo')
  await import(pathToFileURL(cli).href)
} else {
  process.stdout.write(build.stdout ?? '')
  console.error(build.error?.message ?? 'The build failed; what it said is above.')
  process.exitCode = 1
}
