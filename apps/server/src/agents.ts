import type { AgentOptions } from '@polyphony/server'
import { isJsonArray, isJsonObject, type JsonValue } from '@polyphony/translator'
import { Expected } from './expected.ts'

/** The upstream agents by name. */
export type Agents = Readonly<Record<string, AgentOptions>>

const checks: Readonly<Record<string, (value: JsonValue) => boolean>> = {
  url: (value) =>
    typeof value === 'string' && URL.canParse(value) && /^https?:$/.test(new URL(value).protocol),
  headers: (value) => isJsonObject(value) && Object.values(value).every((text) => typeof text === 'string'),
  documents: (value) => isJsonArray(value) && value.every((pattern) => typeof pattern === 'string'),
  connectTimeoutMs: isDuration,
  idleTimeoutMs: isDuration,
  timeoutMs: isDuration,
  onDisconnect: (value) => value === 'continue' || value === 'cancel',
}

/** Reads an object such as `{"helper": {"url": "http://agents.internal:8000/", "documents": ["plans/**"]}}`. */
export function parseAgents(text: string): Agents {
  let agents: JsonValue
  try {
    agents = JSON.parse(text) as JsonValue
  } catch {
    throw new Expected('the agents are not JSON.')
  }
  if (!isJsonObject(agents)) throw new Expected('the agents are a JSON object, by their names.')
  for (const [name, agent] of Object.entries(agents)) {
    // Values may be secrets, so no message repeats one.
    if (!/^[\w.-]{1,64}$/.test(name))
      throw new Expected('the name of an agent has 1 to 64 letters, digits, ".", "_", "-".')
    if (!isJsonObject(agent) || agent['url'] === undefined)
      throw new Expected(`the agent "${name}" has no "url".`)
    for (const [member, value] of Object.entries(agent)) {
      const check = Object.hasOwn(checks, member) ? checks[member] : undefined
      if (check === undefined)
        throw new Expected(`agents have no member "${member}". Known: ${Object.keys(checks).join(', ')}.`)
      if (!check(value)) throw new Expected(`"${member}" of the agent "${name}" is not what it can be.`)
    }
  }
  return agents as unknown as Agents
}

function isDuration(value: JsonValue): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 && value < 2 ** 31
}
