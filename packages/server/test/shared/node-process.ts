import { fork, type ChildProcess } from 'node:child_process'
import type { LimitName } from '@polyphony/core'
import type { AgentOptions } from '../../src/agent-options.ts'

/** Which shared store a node is on, and the key prefix or schema that is the test's own. */
export interface NodePlace {
  readonly kind: 'redis' | 'postgres'
  readonly url: string
  readonly place: string
}

export interface NodeSettings extends NodePlace {
  readonly agents?: Readonly<Record<string, AgentOptions>>
  readonly limits?: Partial<Record<LimitName, number>>
}

/** A server in a process of its own. */
export interface NodeProcess {
  readonly url: string
  /** SIGKILL: no goodbye. Resolves when it is gone; again does nothing. */
  kill(): Promise<void>
}

/** Starts one from what `pnpm build` made; resolves once it listens. */
export async function startNode(settings: NodeSettings): Promise<NodeProcess> {
  const child = fork(new URL('./node.mjs', import.meta.url), [JSON.stringify(settings)], {
    stdio: 'inherit',
    execArgv: [],
  })
  const { url } = await new Promise<{ url: string }>((resolve, reject) => {
    child.once('message', (message) => resolve(message as { url: string }))
    child.once('exit', (code) => reject(new Error(`The node ended early with ${code}.`)))
  })
  return { url, kill: () => end(child) }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await exited
}
