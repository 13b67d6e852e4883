// @ts-check
// Keeps the page itself, so that it opens without a network. Documents are none of its business: the client keeps those.
const cacheName = 'polyphony-offline-example'
const worker = /** @type {any} */ (globalThis)

worker.addEventListener('install', () => worker.skipWaiting())
worker.addEventListener('activate', (/** @type {any} */ event) => event.waitUntil(worker.clients.claim()))

worker.addEventListener('fetch', (/** @type {any} */ event) => {
  const { request } = event
  const url = new URL(request.url)
  if (request.method !== 'GET' || url.origin !== location.origin || url.pathname.startsWith('/v1/')) return
  event.respondWith(fetchOrRecall(request))
})

/** The network where there is one, so that a new version of the page is seen at once; what it said last otherwise. */
async function fetchOrRecall(/** @type {Request} */ request) {
  const cache = await caches.open(cacheName)
  try {
    const response = await fetch(request)
    if (response.ok) await cache.put(request, response.clone())
    return response
  } catch (error) {
    const kept = await cache.match(request, { ignoreSearch: request.mode === 'navigate' })
    if (kept === undefined) throw error
    return kept
  }
}
