import { fork } from 'node:child_process'
import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { startRedis } from '@polyphony/test-services'
import { afterEach, expect, test, vi } from 'vitest'

const services: Awaited<ReturnType<typeof startRedis>>[] = []
afterEach(async () => {
  for (const service of services.splice(0)) await service.stop()
})

async function start(): Promise<(typeof services)[number]> {
  const service = await startRedis()
  services.push(service)
  return service
}

test('a server answers, is killed, comes back with its data, and leaves nothing', async () => {
  const service = await start()
  const { port, process } = service
  expect(await ask(port, 'SET key value')).toBe('+OK')
  await process.kill()
  await expect(ask(port, 'GET key')).rejects.toThrow(/ECONNREFUSED|ECONNRESET/)
  await process.restart()
  expect(await ask(port, 'GET key')).toBe('$5\r\nvalue')
  await service.stop()
  expect(existsSync(process.folder)).toBe(false)
})

test('a paused server takes connections and answers nothing until it is resumed', async () => {
  const { port, process } = await start()
  await process.pause()
  let answered = false
  const answer = ask(port, 'PING').then((line) => {
    answered = true
    return line
  })
  // A second server that works shows that time enough has passed for an answer.
  expect(await ask((await start()).port, 'PING')).toBe('+PONG')
  expect(answered).toBe(false)
  await process.resume()
  expect(await answer).toBe('+PONG')
})

test('a test process that is killed leaves neither server nor folder behind', async () => {
  const child = fork(new URL('./owner.mjs', import.meta.url), { stdio: 'inherit' })
  const { folder, port } = await new Promise<{ folder: string; port: number }>((resolve, reject) => {
    child.once('message', (message) => resolve(message as { folder: string; port: number }))
    child.once('exit', (code) => reject(new Error(`The child ended early with ${code}.`)))
  })
  expect(await ask(port, 'PING')).toBe('+PONG')
  child.kill('SIGKILL')
  await vi.waitFor(() => expect(existsSync(folder)).toBe(false), { timeout: 20_000 })
  await expect(ask(port, 'PING')).rejects.toThrow(/ECONNREFUSED/)
})

function ask(port: number, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(`${command}\r\n`))
    socket.on('error', reject)
    socket.on('data', (chunk) => {
      socket.destroy()
      resolve(chunk.toString().trimEnd())
    })
    socket.on('end', () => reject(new Error('ECONNRESET')))
  })
}
