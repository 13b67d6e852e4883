/**
 * An AG-UI agent for documents of Polyphony: it resumes, applies changes at their cost, and writes.
 *
 * @module
 */
export { HttpError } from './event-stream.ts'
export type { PatchOutcome } from './patch-request.ts'
export { PolyphonyAgent, type PolyphonyAgentConfig, type PolyphonySubscriber } from './polyphony-agent.ts'
