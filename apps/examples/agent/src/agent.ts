#!/usr/bin/env node
import { randomUUID } from 'node:crypto'
import { parseArgs } from 'node:util'
import type { DocumentAddress } from './document-address.ts'
import { keepWorking } from './keep-working.ts'
import { work } from './work.ts'

const usage = `Usage: node agent.js [--url http://localhost:4400] [--document welcome] [--token TOKEN] [--once]

Follows a document through AG-UI and tidies it up whenever people pause: typos, headings, TODO lines, a summary.
With --once it works once and ends.`

process.exitCode = await main(process.argv.slice(2))

async function main(args: readonly string[]): Promise<number> {
  const options = parse(args)
  if (options === undefined) return 2
  const { address, once } = options
  const stopping = new AbortController()
  process.once('SIGINT', () => stopping.abort())
  process.once('SIGTERM', () => stopping.abort())
  const working = {
    holder: randomUUID(),
    signal: stopping.signal,
    onStep: ({ note }: { readonly note: string }) => console.log(note),
  }
  try {
    if (once) {
      const { steps, outcome } = await work(address, working)
      console.log(outcome === 'busy' ? 'Another agent is at work.' : `${steps} changes.`)
    } else {
      console.log(`Following "${address.documentId}" on ${address.url}. Ctrl-C stops it.`)
      await keepWorking(address, working)
    }
    return 0
  } catch (error) {
    console.error(`agent: ${error instanceof Error ? error.message : String(error)}`)
    return 1
  }
}

function parse(
  args: readonly string[],
): { readonly address: DocumentAddress; readonly once: boolean } | undefined {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        url: { type: 'string', default: 'http://localhost:4400' },
        document: { type: 'string', default: 'welcome' },
        token: { type: 'string' },
        once: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
    const { url, document: documentId, token, once, help } = values
    if (help || !URL.canParse(url)) {
      console.error(help ? usage : `"${url}" is not a URL.\n\n${usage}`)
      return undefined
    }
    return { address: { url, documentId, token }, once }
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`)
    return undefined
  }
}
