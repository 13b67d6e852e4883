import { existsSync } from 'node:fs'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseConfiguration, type Configuration } from './configuration.ts'
import { createLog } from './log.ts'
import { readSettings, type Environment } from './option-sources.ts'
import { runUntilStopped, startServer } from './running-server.ts'
import { describeStore } from './store-location.ts'
import { StartError } from './start-error.ts'
import { createWelcomeDocument, welcomeDocumentId } from './welcome-document.ts'

const examples = new URL('../../examples/', import.meta.url)

/** The page's text is a root of its own, at `/text`; tasks and the rest are in the root map `state`. */
const projections = '[{"documents": "**", "mounts": {"/text": {"kind": "text", "name": "text"}}}]'

/**
 * Runs a server with the example page, or with the one that the settings name, until it is told to stop, and says in
 * plain words what there is to see.
 */
export async function demo(args: readonly string[], env: Environment): Promise<number> {
  const page = fileURLToPath(new URL('editor/dist', examples))
  const settings = readSettings(args, env)
  const configuration = parseConfiguration(settings, { site: page, logLevel: 'warn', projections })
  const isExample = configuration.site === page
  if (isExample && !existsSync(page))
    throw new StartError(`The example page is not built (no ${page}). In the repository: pnpm run build.`)
  const log = createLog(configuration.logLevel)
  const server = await startServer(configuration, log)
  if (isExample) await createWelcomeDocument(server.documents)
  log.info({ url: server.url }, 'listening')
  process.stdout.write(introduction(server.url, configuration, isExample ? guideOf : () => ''))
  return await runUntilStopped(server, log)
}

function introduction(
  listening: string,
  { store, authSecret }: Configuration,
  guide: (url: string) => string,
): string {
  const url = listening.replace('127.0.0.1', 'localhost')
  const kept =
    store.kind === 'level'
      ? `Everything is kept in ${relative(process.cwd(), store.directory) || '.'}. Even after\n  kill -9 ${process.pid}\nand a new start, whatever anybody saw is still there.`
      : store.kind === 'memory'
        ? 'Documents live in memory and are gone when the server stops.'
        : `Everything is kept in ${describeStore(store)}.`
  const access =
    authSecret === undefined
      ? ''
      : '\nThis server wants tokens: make one with "polyphony token", and open the page with ?token=… in its address.\n'
  return `
Polyphony is running.

  Open   ${url}
${access}${guide(url)}
${kept}

Ctrl-C stops the server.
`
}

/** What to do with the example page and its document. */
function guideOf(url: string): string {
  const document = `${url}/v1/documents/${welcomeDocumentId}`
  const agent = relative(process.cwd(), fileURLToPath(new URL('agent/dist/agent.js', examples)))
  return `
Open it in two windows, type in both, and press "Ask the agent" while you type.

From a terminal, the same document is plain JSON:

  curl ${document}
  curl -X PATCH ${document} \\
       -H 'content-type: application/json-patch+json' \\
       -d '[{"op":"add","path":"/tasks/-","value":{"id":"tea","title":"Make tea","done":false}}]'

An agent in a process of its own, built on the official AG-UI client:

  node ${agent} --url ${url} --document ${welcomeDocumentId}
`
}
