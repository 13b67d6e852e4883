import { expect, test } from 'vitest'
import { NodeList } from './node-list.ts'

test('a node is left once, however many notice that it is gone', () => {
  const nodes = new NodeList(['a', 'b', 'c'], 1)
  expect(nodes.url).toBe('b')
  nodes.leave('b')
  nodes.leave('b')
  expect(nodes.url).toBe('c')
  nodes.leave('c')
  expect(nodes.url).toBe('a')
})
