import { fileURLToPath } from 'node:url'
import { startGreenhouse } from './start.ts'

const greenhouse = await startGreenhouse({
  site: fileURLToPath(new URL('../page', import.meta.url)),
  port: Number(process.env['PORT'] ?? 4400),
  onError: (error) => console.error(error),
})
console.log(`The greenhouse is open: ${greenhouse.server.url}`)
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void greenhouse.close())
