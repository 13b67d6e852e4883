/**
 * A `fetch` whose bodies end where the connection broke, and are empty where there was none, instead of failing. The
 * official AG-UI client 1.0.0 leaves an unhandled rejection behind when a body fails, and an error in the console for
 * either; whoever runs it in a loop wants to start over, no more.
 */
export async function lenientFetch(url: string, init: RequestInit): Promise<Response> {
  const response = await reach(url, init)
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

async function reach(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init)
  } catch (error) {
    // This is how fetch reports that there is no connection; an abort is something else.
    if (!(error instanceof TypeError)) throw error
    return new Response(new Uint8Array(), { headers: { 'content-type': 'text/event-stream' } })
  }
}
