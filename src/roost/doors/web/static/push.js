/** Notifications of this device: whether they can be had, on, and off. */

/** Whether they can be had, and why not; and whether they are on. */
export async function state(session) {
  if (!isSecureContext) return { can: false, why: 'They need a certificate that this browser trusts. See “Install” below.' }
  if (!('serviceWorker' in navigator) || !('PushManager' in window)) {
    const apple = /iPhone|iPad/.test(navigator.userAgent)
    return { can: false, why: apple ? 'On iPhone and iPad: install the app first (see below), then turn them on there.' : 'This browser has none.' }
  }
  if (!session?.push?.enabled) return { can: false, why: 'They are off at the server. Its documentation says how to turn them on.' }
  if (Notification.permission === 'denied') return { can: false, why: 'This browser forbids them for this page. Its settings for this site can allow them.' }
  const worker = await navigator.serviceWorker.getRegistration('/')
  return { can: true, on: Boolean(worker && Notification.permission === 'granted' && (await worker.pushManager.getSubscription())) }
}

/** Turn them on. */
export async function on(api) {
  if ((await Notification.requestPermission()) !== 'granted') throw new Error('the browser was told not to show any')
  const worker = await navigator.serviceWorker.ready
  const subscription = await worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: raw(api.session.push.key) })
  try {
    await api.post('/web/push', subscription.toJSON())
  } catch (error) {
    await subscription.unsubscribe()
    throw error
  }
}

/** Turn them off. */
export async function off(api) {
  const worker = await navigator.serviceWorker?.getRegistration('/')
  const subscription = await worker?.pushManager?.getSubscription()
  if (!subscription) return
  await api.delete('/web/push', { body: { endpoint: subscription.endpoint } })
  await subscription.unsubscribe()
}

function raw(key) {
  const text = atob(key.replaceAll('-', '+').replaceAll('_', '/'))
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0))
}
