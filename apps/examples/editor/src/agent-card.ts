import { readPageState, type DocumentAddress } from '@polyphony/example-agent'
import type * as Y from 'yjs'
import { element } from './element.ts'

/** How old a sign of life may be before an agent that calls itself at work is taken for gone. */
const staleMs = 12_000

/** The agent of this window, and the state of whichever agent is at work. */
export function bindAgentCard(
  address: DocumentAddress,
  doc: Y.Doc,
  onChange: () => void,
): { readonly isWorking: () => boolean } {
  const ask = element('ask', HTMLButtonElement)
  const keep = element('keep', HTMLInputElement)
  const note = element('agent-note', HTMLParagraphElement)
  const card = ask.closest('.agent')
  const state = doc.getMap('state')
  const holder = crypto.randomUUID()
  let running: AbortController | undefined
  let problem = ''

  const presence = () => readPageState({ agent: state.toJSON()['agent'] }).agent
  const isWorking = (): boolean => {
    const { status, untilMs } = presence()
    return status === 'working' && untilMs + staleMs > Date.now()
  }
  const render = (): void => {
    const working = isWorking()
    const text =
      problem || presence().note || (keep.checked ? 'Watching' : 'Minds typos, headings and TODO lines')
    note.textContent = working ? `${text}…` : text
    card?.classList.toggle('working', working)
    ask.textContent = running !== undefined && !keep.checked ? 'Stop' : 'Ask the agent'
    ask.disabled = keep.checked
    onChange()
  }
  const start = async (task: 'work' | 'keepWorking'): Promise<void> => {
    running?.abort()
    const own = new AbortController()
    running = own
    problem = ''
    render()
    try {
      // Loaded when needed: the official AG-UI client is larger than all the rest of this page.
      const agent = await import('@polyphony/example-agent')
      const options = { holder, signal: own.signal }
      if (task === 'keepWorking') await agent.keepWorking(address, options)
      else {
        const { outcome, steps } = await agent.work(address, options)
        if (outcome === 'busy') problem = 'Another agent is at work already'
        else if (steps === 0) problem = 'Nothing to do: all is in order'
      }
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error)
    } finally {
      if (running === own) running = undefined
      render()
    }
  }
  ask.addEventListener('click', () => {
    if (running !== undefined) running.abort()
    else void start('work')
  })
  keep.addEventListener('change', () => {
    if (keep.checked) void start('keepWorking')
    else running?.abort()
    render()
  })
  state.observeDeep((events) => {
    if (events.some(({ path, target }) => path.length > 0 || target === state)) {
      if (isWorking()) problem = ''
      render()
    }
  })
  // An agent that was killed never says that it rests.
  setInterval(render, staleMs)
  render()
  return { isWorking }
}
