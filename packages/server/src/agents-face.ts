import {
  checkId,
  encodeCustom,
  encodeRunError,
  encodeRunStarted,
  encodeSse,
  endRun,
  endSilentRuns,
  parseRunInput,
  passedOnInput,
  readConversation,
  requestCancel,
  startRun,
  type RunInput,
} from '@polyphony/ag-ui'
import { PolyphonyError, toPolyphonyError } from '@polyphony/core'
import type { AgentRun, RunOutcome } from './agent-run.ts'
import type { AgentRuns } from './agent-runs.ts'
import { requireRunInput, takeProposal } from './ag-ui-face.ts'
import { sendJson } from './answer.ts'
import { requireAccess } from './authorization.ts'
import type { DocumentHandle } from './document-handle.ts'
import { negotiateFormat } from './feed-format.ts'
import type { FeedStreams, FollowedStream } from './feed-streams.ts'
import { takeHistory } from './history-merge.ts'
import { requireWhole } from './pointer-scope.ts'
import { readJsonBody } from './request-body.ts'
import type { DocumentRequestHandler, Exchange } from './request-handler.ts'
import { decodeSegment } from './request-target.ts'

/**
 * POST /v1/documents/{id}/agents/{agent}: runs an upstream agent in the document. The caller's state and messages become
 * part of the document first; the agent is given both as they are then. The answer is the run: the document's state and
 * messages, whoever changes them, and what the agent says besides.
 */
export function runHandler(runs: AgentRuns, streams: FeedStreams): DocumentRequestHandler {
  return async (exchange, documentId) => {
    const { principal, request, limits } = exchange
    requireAccess(principal, documentId, 'write')
    requireWhole(principal, documentId, 'Running an agent')
    requireRunInput(exchange)
    exchange.response.appendHeader('vary', 'Accept')
    const format = negotiateFormat(request.headers.accept)
    const name = nameIn(exchange)
    const agent = runs.find(name, documentId)
    const body = await readJsonBody(request, limits)
    const input = parseRunInput(body)
    checkId(input.runId, limits)
    checkId(input.threadId, limits)
    const release = runs.acquire(documentId)
    const { run, holds, notes } = await begin(exchange, { runs, name, documentId, input, body, release })
    const cancel = (): Promise<void> =>
      run.stop(new PolyphonyError('run-cancelled', 'Whoever asked for the run has gone.'))
    try {
      await streams.run(exchange, {
        documentId,
        pointer: input.pointer,
        splices: input.splices,
        since: holds,
        messages: input.messages,
        face: 'ag-ui',
        format,
        stays: true,
        prelude: [encodeRunStarted(input), ...notes].map(frame),
        ending: undefined,
        failing: (error) => frame(encodeRunError(error)),
        follow: (stream) => follow(run, input, stream),
      })
    } finally {
      run.leave()
      if (agent.onDisconnect === 'cancel') await cancel()
    }
  }
}

/** DELETE /v1/documents/{id}/agents/{agent}/runs/{run}: asks a run to stop, on whichever node it is. */
export function cancelHandler(runs: AgentRuns): DocumentRequestHandler {
  return async (exchange, documentId) => {
    const { principal, documents, target } = exchange
    requireAccess(principal, documentId, 'write')
    requireWhole(principal, documentId, 'Stopping an agent')
    runs.find(nameIn(exchange), documentId)
    const runId = decodeSegment(target.path.split('/').at(-1) ?? '')
    const handle = await documents.open(documentId, { mustExist: true })
    try {
      const { result } = await handle.edit({ author: principal.id, runId }, (view) =>
        requestCancel(view.doc, runId),
      )
      if (result !== true)
        throw new PolyphonyError('run-not-found', `No run "${runId.slice(0, 100)}" is under way.`, {
          documentId,
        })
      sendJson(exchange, 202, { runId, cancelRequested: true }, {})
    } finally {
      handle.release()
    }
  }
}

interface Beginning {
  readonly runs: AgentRuns
  readonly name: string
  readonly documentId: string
  readonly input: RunInput
  readonly body: unknown
  readonly release: () => void
}

interface Begun {
  readonly run: AgentRun
  /** Token of the version that the caller's state is known to be. */
  readonly holds: string | undefined
  readonly notes: readonly string[]
}

async function begin(exchange: Exchange, beginning: Beginning): Promise<Begun> {
  const { runs, name, documentId, input, body, release } = beginning
  let handle: DocumentHandle | undefined
  let isNoted = false
  const leave = (): void => {
    handle?.release()
    release()
  }
  try {
    const { holds, notes } = await takeProposal(exchange, documentId, input)
    handle = await exchange.documents.open(documentId)
    const opened = handle
    await noteStart(exchange, opened, name, input)
    isNoted = true
    const { principal, limits, clock } = exchange
    const authorship = { author: principal.id, runId: input.runId }
    await takeHistory(opened, authorship, input.messages, { limits, nowMs: clock.now() })
    const given = await opened.read((view) => ({
      seen: view.version,
      state: view.read({ pointer: input.pointer }),
      messages: readConversation(view.doc).map(({ message }) => message),
    }))
    const { threadId, runId, pointer } = input
    const run = runs.start(
      {
        name,
        agent: runs.find(name, documentId),
        handle: opened,
        authorship: { author: `agent:${name}`, runId },
        input: {
          threadId,
          runId,
          state: given.state,
          // An agent is not told what interfaces show of its work.
          messages: given.messages.filter(({ role }) => role !== 'activity'),
          ...passedOnInput(body),
        },
        messages: given.messages,
        seen: given.seen,
        pointer,
      },
      leave,
    )
    return { run, holds, notes }
  } catch (error) {
    if (handle !== undefined && isNoted) await noteFailure(exchange, handle, input.runId, error)
    leave()
    throw error
  }
}

/** A run that is noted and never begins has ended. When that cannot be noted either, others find it silent later. */
async function noteFailure(
  { principal, clock, logger }: Exchange,
  handle: DocumentHandle,
  runId: string,
  cause: unknown,
): Promise<void> {
  const { code, message } = toPolyphonyError(cause)
  try {
    await handle.edit({ author: principal.id, runId }, (view) =>
      endRun(view.doc, runId, { status: 'failed', endedAtMs: clock.now(), error: { code, message } }),
    )
  } catch (error) {
    const { documentId } = handle
    logger.warn({ documentId, runId, error: String(error) }, 'end of an agent run not noted')
  }
}

async function noteStart(
  { principal, limits, clock }: Exchange,
  handle: DocumentHandle,
  agent: string,
  { runId, threadId }: RunInput,
): Promise<void> {
  const authorship = { author: principal.id, runId }
  const nowMs = clock.now()
  await handle.edit(authorship, (view) => {
    startRun(view.doc, { runId, threadId, agent, author: principal.id, startedAtMs: nowMs }, limits.runsKept)
    endSilentRuns(view.doc, nowMs, ({ aliveAtMs }) => !(nowMs - aliveAtMs <= limits.runSilentMs))
  })
}

/** Tells the caller what the agent says besides, each after what it said before, and how its run ends. */
async function follow(
  run: AgentRun,
  { threadId, runId }: RunInput,
  stream: FollowedStream,
): Promise<{ readonly frame: Uint8Array; readonly isError: boolean }> {
  await run.listen(async ({ outcome, passed }) => {
    for (const conflict of outcome?.refused ?? [])
      stream.write(frame(encodeCustom('polyphony.patch-refused', conflict)))
    const conflicts = outcome?.conflicts ?? []
    if (conflicts.length > 0) stream.write(frame(encodeCustom('polyphony.conflicts', { conflicts })))
    if (passed.length === 0) return
    await stream.flush()
    for (const event of passed) stream.write(frame(JSON.stringify(event)))
  })
  const outcome: RunOutcome = await run.ended
  if ('error' in outcome) return { frame: frame(errorEvent(outcome.error)), isError: true }
  return { frame: frame(JSON.stringify({ ...outcome.event, threadId, runId })), isError: false }
}

/** An agent's own code is more to the point than that it failed. */
function errorEvent(error: PolyphonyError): string {
  const code = error.details.extra?.agentCode
  if (typeof code !== 'string') return encodeRunError(error)
  return JSON.stringify({ type: 'RUN_ERROR', message: error.message, code })
}

function nameIn({ target }: Exchange): string {
  return decodeSegment(/\/agents\/([^/]+)/.exec(target.path)?.[1] ?? '')
}

function frame(data: string): Uint8Array {
  return encodeSse({ data })
}
