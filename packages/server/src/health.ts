import type { IncomingMessage, ServerResponse } from 'node:http'
import { isPolyphonyError, type Clock } from '@polyphony/core'
import type { Metrics } from './metrics.ts'

export interface HealthOptions {
  readonly metrics: Metrics
  readonly clock: Clock
  readonly checkReady: (() => Promise<void>) | undefined
  readonly isClosing: () => boolean
}

const readyTimeoutMs = 2_000

/**
 * For whoever operates the server: `/healthz` (the process answers; restart it otherwise), `/readyz` (send it requests;
 * not while the store fails or the server is closing), `/metrics`.
 */
export class HealthFace {
  readonly #options: HealthOptions
  /** What the gauge shows. */
  #ready = 0

  constructor(options: HealthOptions) {
    this.#options = options
  }

  knows(path: string): boolean {
    return path === '/healthz' || path === '/readyz' || path === '/metrics'
  }

  async answer(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (path === '/metrics') {
      this.#showReady((await this.#unreadyReason()) === undefined)
      const { contentType, body } = await this.#options.metrics.render()
      send(request, response, { status: 200, contentType, body })
      return
    }
    const reason = path === '/healthz' ? undefined : await this.#unreadyReason()
    send(request, response, {
      status: reason === undefined ? 200 : 503,
      contentType: 'application/json',
      body: JSON.stringify(reason === undefined ? { status: 'ok' } : { status: 'unavailable', reason }),
    })
  }

  #showReady(ready: boolean): void {
    this.#options.metrics.telemetry.gauge('polyphony_ready', Number(ready) - this.#ready)
    this.#ready = Number(ready)
  }

  /** A stable code, not the message: everybody may ask. */
  async #unreadyReason(): Promise<string | undefined> {
    const { clock, checkReady, isClosing } = this.#options
    if (isClosing()) return 'shutting-down'
    if (checkReady === undefined) return undefined
    let cancel = (): void => undefined
    const late = new Promise<string>((resolve) => {
      cancel = clock.after(readyTimeoutMs, () => resolve('store-failed'))
    })
    const checked = checkReady().then(
      () => undefined,
      (error: unknown) => (isPolyphonyError(error) ? error.code : 'store-failed'),
    )
    try {
      return await Promise.race([checked, late])
    } finally {
      cancel()
    }
  }
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  answer: { readonly status: number; readonly contentType: string; readonly body: string },
): void {
  const { status, contentType, body } = answer
  response
    .writeHead(status, {
      'content-type': contentType,
      'content-length': Buffer.byteLength(body),
      'cache-control': 'no-store',
    })
    .end(request.method === 'HEAD' ? undefined : body)
}
