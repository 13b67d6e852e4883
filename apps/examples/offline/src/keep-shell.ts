/**
 * Keeps the page itself on this device, by a service worker, which then also sees to reloads without a network. What the
 * first visit loaded, it loaded without the worker, so that is asked for once more.
 */
export async function keepShell(): Promise<void> {
  const { serviceWorker } = navigator
  const isFirstVisit = serviceWorker.controller === null
  await serviceWorker.register('./shell-worker.js')
  if (!isFirstVisit) return
  if (serviceWorker.controller === null)
    await new Promise((resolve) =>
      serviceWorker.addEventListener('controllerchange', resolve, { once: true }),
    )
  const loaded = performance.getEntriesByType('resource').map(({ name }) => name)
  await Promise.all([location.href, ...loaded].map((url) => fetch(url)))
  document.documentElement.dataset['shell'] = 'kept'
}
