import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { tellStory } from './story.ts'

it('prints what the README shows', () => {
  const lines: string[] = []
  tellStory((line) => lines.push(line))
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const shown = /```text\n([\s\S]*?)\n```/.exec(readme)?.[1]
  expect(lines.join('\n')).toBe(shown)
})
