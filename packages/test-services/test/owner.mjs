// A process that owns a Redis server and never lets go of it by itself; the test kills it.
import { fileURLToPath } from 'node:url'
import { runnerImport } from 'vite'

const source = fileURLToPath(new URL('../src/redis-service.ts', import.meta.url))
const { module } = await runnerImport(source, { configFile: false, logLevel: 'error' })
const service = await module.startRedis()
process.send?.({ folder: service.process.folder, port: service.port })
setInterval(() => undefined, 1000)
