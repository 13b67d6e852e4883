import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { describeStore } from './describe-store.ts'

/** A kind of server that can be started, killed and started again on the same data. */
export interface Contender {
  readonly title: string
  /** What to run with Node. */
  command(port: number): { readonly args: readonly string[]; readonly env: Readonly<Record<string, string>> }
  /** Where documents are, below `ws://host:port`. */
  readonly path: string
}

const require = createRequire(import.meta.url)

/** `polyphony serve` on a store, with further flags. */
export function polyphony(store: string, flags: readonly string[] = []): Contender {
  const cli = join(dirname(require.resolve('@polyphony/cli/package.json')), 'dist', 'cli.js')
  return {
    title: ['polyphony', describeStore(store), ...flags].join(' '),
    command: (port) => ({
      args: [cli, 'serve', '--port', String(port), '--store', store, '--log-level', 'warn', ...flags],
      env: {},
    }),
    path: '/sync',
  }
}

/** The server that comes with y-websocket 1.5: documents in memory, or with `directory` also in y-leveldb. */
export function stockServer(directory?: string): Contender {
  return {
    title: directory === undefined ? 'y-websocket server' : 'y-websocket server + y-leveldb',
    command: (port) => ({
      args: [join(dirname(require.resolve('y-websocket-1/package.json')), 'bin', 'server.js')],
      env: {
        HOST: '127.0.0.1',
        PORT: String(port),
        ...(directory === undefined ? {} : { YPERSISTENCE: directory }),
      },
    }),
    path: '',
  }
}
