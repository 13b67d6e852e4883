import type { Message } from '@ag-ui/core'
import { RunAgentInputSchema } from '@ag-ui/core/schemas'
import { PolyphonyError } from '@polyphony/core'
import type { JsonValue } from '@polyphony/translator'
import { z } from 'zod'

/** What a client asks of a document by `POST …/ag-ui`. */
export interface RunInput {
  readonly threadId: string
  readonly runId: string
  /** `watch`: stay and get every change. `sync`: get the state and finish. */
  readonly mode: 'watch' | 'sync'
  /** Opaque token of the version that the client holds as `state`. */
  readonly version: string | undefined
  /** The part of the document that is the state of this run; '' for all. */
  readonly pointer: string
  /** Whether the client understands `polyphony.delta` events, which splice texts. */
  readonly splices: boolean
  /** What the client holds; absent when it does not say. The official client sends `{}` before it holds anything. */
  readonly state: JsonValue | undefined
  /** The messages that the client holds. */
  readonly messages: readonly Message[]
  /** Whether the messages of the document are part of the run: shown, also with the client's own merged into it, or not. */
  readonly withMessages: 'merge' | 'show' | 'none'
}

const optionsSchema = z.looseObject({
  mode: z.enum(['watch', 'sync']).default('watch'),
  version: z
    .string()
    .max(64 << 10)
    .optional(),
  pointer: z
    .string()
    .max(4_096)
    .regex(/^(\/([^/~]|~[01])*)*$/, 'not a JSON pointer (RFC 6901)')
    .default(''),
  splices: z.boolean().default(false),
  messages: z.union([z.boolean(), z.looseObject({ merge: z.boolean().default(false) })]).default(true),
})

/**
 * Checks a `RunAgentInput` and reads the options of ours in `forwardedProps.polyphony`. Members that nobody knows are
 * tolerated, malformed known ones throw `invalid-request` that names them; so does a foreign major protocol version.
 */
export function parseRunInput(body: unknown): RunInput {
  const input = RunAgentInputSchema.safeParse(body)
  if (!input.success) throw malformed('RunAgentInput', input.error)
  const { threadId, runId, protocolVersion, state, forwardedProps } = input.data
  if (protocolVersion !== undefined && !/^1(\.|$)/.test(protocolVersion)) {
    throw new PolyphonyError(
      'invalid-request',
      `This server speaks AG-UI 1.x, not "${protocolVersion.slice(0, 20)}".`,
    )
  }
  const forwarded: unknown =
    typeof forwardedProps === 'object' && forwardedProps !== null && 'polyphony' in forwardedProps
      ? forwardedProps.polyphony
      : {}
  const options = optionsSchema.safeParse(forwarded)
  if (!options.success) throw malformed('forwardedProps.polyphony', options.error)
  const { mode, version, pointer, splices, messages: wanted } = options.data
  const withMessages = wanted === false ? 'none' : wanted !== true && wanted.merge ? 'merge' : 'show'
  return {
    threadId,
    runId,
    mode,
    version,
    pointer,
    splices,
    state: state as JsonValue | undefined,
    messages: input.data.messages as readonly Message[],
    withMessages,
  }
}

/** What a caller of an agent sends that is none of our business, for the agent. The input must have been checked. */
export function passedOnInput(body: unknown): Readonly<Record<string, unknown>> {
  const input = RunAgentInputSchema.parse(body)
  const { tools, context, resume, parentRunId } = input
  const { polyphony: _, ...forwardedProps } = Object(input.forwardedProps) as Record<string, unknown>
  return {
    tools,
    context,
    forwardedProps,
    ...(resume === undefined ? {} : { resume }),
    ...(parentRunId === undefined ? {} : { parentRunId }),
  }
}

function malformed(what: string, error: z.core.$ZodError): PolyphonyError {
  return new PolyphonyError(
    'invalid-request',
    `The ${what} is malformed. ${z.prettifyError(error)}`.slice(0, 2_000),
    {
      extra: {
        issues: error.issues.slice(0, 20).map(({ path, message }) => ({ path: path.map(String), message })),
      },
    },
  )
}
