#!/usr/bin/env node
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { polyphony, stockServer, type Contender } from './contender.ts'
import { runExperiment, type Round } from './experiment.ts'
import { parseOptions, usage, type Options } from './options.ts'
import { closingTable, isWhole, progressLine, roundHeader, roundRow, stayedLine } from './report.ts'

process.exitCode = await main(process.argv.slice(2))

async function main(args: readonly string[]): Promise<number> {
  let options: Options | undefined
  try {
    options = parseOptions(args)
  } catch (error) {
    console.error(`recovery: ${error instanceof Error ? error.message : String(error)}\n\n${usage}`)
    return 2
  }
  if (options === undefined) {
    console.log(usage)
    return 0
  }
  const folder = await mkdtemp(join(tmpdir(), 'polyphony-recovery-'))
  try {
    return await run(options, folder)
  } catch (error) {
    console.error(`recovery: ${error instanceof Error ? error.message : String(error)}`)
    return 1
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function run(options: Options, folder: string): Promise<number> {
  const {
    fsync,
    compare,
    store = `level:${join(folder, 'data')}`,
    rounds,
    authors,
    documents,
    seed,
  } = options
  const contenders: Contender[] = [polyphony(store, fsync ? [] : ['--fsync', 'off'])]
  if (compare) contenders.push(polyphony('memory:'), stockServer(), stockServer(join(folder, 'y-leveldb')))
  console.log(`${authors} people, ${documents} pages, ${rounds} kills, seed ${seed}`)
  const results: { title: string; round: Round }[] = []
  for (const contender of contenders)
    results.push({ title: contender.title, round: await tell(contender, options) })
  console.log(`\n${closingTable(results)}`)
  const isKept = results[0] !== undefined && isWhole(results[0].round)
  console.log(
    isKept
      ? '\nEverything that was acknowledged is there, once.'
      : '\nSomething that was acknowledged is lost, or there twice.',
  )
  if (!fsync) console.log('Without fsync this holds for a kill, not for a power cut.')
  return isKept ? 0 : 1
}

async function tell(contender: Contender, { rounds, authors, documents, seed }: Options): Promise<Round> {
  console.log(`\n${contender.title}\n${roundHeader}`)
  const { isTTY } = process.stdout
  const clear = isTTY ? '\r\u001b[K' : ''
  let shownAt = 0
  const last = await runExperiment({
    contender,
    rounds,
    authors,
    documents,
    seed,
    name: `recovery-${randomBytes(4).toString('hex')}`,
    onProgress(progress) {
      if (!isTTY || performance.now() - shownAt < 100) return
      shownAt = performance.now()
      process.stdout.write(clear + progressLine(progress, rounds))
    },
    onRound: (round) => process.stdout.write(`${clear}${roundRow(round)}\n`),
  })
  console.log(stayedLine(last))
  return last
}
