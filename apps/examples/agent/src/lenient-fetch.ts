/**
 * A `fetch` whose bodies end where the connection broke, instead of failing. The official AG-UI client 1.0.0 leaves an
 * unhandled rejection behind when a body fails; whoever runs it in a loop wants to start over in either case.
 */
export async function lenientFetch(url: string, init: RequestInit): Promise<Response> {
  const response = await fetch(url, init)
  if (response.body === null) return response
  const reader = response.body.getReader()
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await reader.read()
        if (done) controller.close()
        else controller.enqueue(value)
      } catch {
        controller.close()
      }
    },
    cancel: (reason) => reader.cancel(reason),
  })
  return new Response(body, { status: response.status, headers: response.headers })
}
