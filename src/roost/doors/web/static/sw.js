/* Keeps the page itself, so that it opens without a network, and shows what is pushed.  No answer of the API is ever kept. */

const SHELL = self.__SHELL__ || {}
const NAME = `roost-${SHELL.version || 'dev'}`

self.addEventListener('install', (event) => {
  event.waitUntil(caches.open(NAME).then((cache) => cache.addAll((SHELL.files || []).map((path) => new Request(path, { cache: 'reload' })))).then(() => self.skipWaiting()))
})

self.addEventListener('activate', (event) => {
  event.waitUntil(caches.keys()
    .then((names) => Promise.all(names.filter((name) => name.startsWith('roost-') && name !== NAME).map((name) => caches.delete(name))))
    .then(() => self.clients.claim()))
})

self.addEventListener('fetch', (event) => {
  const url = new URL(event.request.url)
  const ours = url.origin === location.origin && (url.pathname === '/' || url.pathname === '/manifest.webmanifest' || url.pathname.startsWith('/static/'))
  if (event.request.method === 'GET' && ours) event.respondWith(answer(event.request))
})

/** What the server has, or what it had when it does not answer: a page of two versions is worse than a slow one. */
async function answer(request) {
  const kept = () => caches.match(request, { ignoreSearch: true, cacheName: NAME })
  try {
    const response = await fetch(request)
    return response.status < 500 ? response : (await kept()) || response
  } catch (error) {
    const found = await kept()
    if (found) return found
    throw error
  }
}

self.addEventListener('push', (event) => {
  const said = (() => {
    try {
      return event.data.json()
    } catch {
      return {}
    }
  })()
  event.waitUntil(self.registration.showNotification(said.title || 'Something waits for you', {
    body: said.body || '', tag: said.tag || 'roost-waits', icon: '/static/icon-192.png', badge: '/static/icon-192.png', data: { go: said.go || '#/inbox' }, renotify: true,
  }))
})

self.addEventListener('notificationclick', (event) => {
  event.notification.close()
  const said = String(event.notification.data?.go ?? '')
  const go = said.startsWith('#/') ? said : '#/inbox'
  event.waitUntil(self.clients.matchAll({ type: 'window', includeUncontrolled: true }).then((all) => {
    const open = all.find((client) => new URL(client.url).origin === location.origin)
    if (!open) return self.clients.openWindow(`/${go}`)
    open.postMessage({ go })
    return open.focus()
  }))
})
