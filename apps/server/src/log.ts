import { pino, stdSerializers, stdTimeFunctions, type DestinationStream, type Logger } from 'pino'
import type { LogLevel } from './configuration.ts'

const secretPaths = ['token', 'authorization', 'secret', 'authSecret', 'cookie'].flatMap((name) => [
  name,
  `*.${name}`,
  `*.*.${name}`,
])

/** JSON lines with ISO times. Tokens and secrets never get into them, also not as part of a URL. */
export function createLog(level: LogLevel, destination?: DestinationStream): Logger {
  const options = {
    level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: secretPaths, censor: '[redacted]' },
    serializers: { url: redactUrl, error: stdSerializers.errWithCause, cause: stdSerializers.errWithCause },
  }
  return destination === undefined ? pino(options) : pino(options, destination)
}

function redactUrl(url: unknown): unknown {
  return typeof url === 'string' ? url.replace(/([?&]token=)[^&#]*/gi, '$1[redacted]') : url
}
