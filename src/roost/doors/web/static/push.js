/** Notifications of this device: whether they can be had, on, and off. */

import { worker } from './worker.js'

/** Whether this is a device of which only Safari is a browser. */
export const APPLE = /iPhone|iPad/.test(navigator.userAgent)

/** Whether they can be had, and why not; and whether they are on. */
export async function state(session) {
  const found = await worker
  if (found === 'untrusted') return { can: false, why: 'They need a certificate that this browser trusts. See “Install” below.' }
  if (found === 'none' || !('PushManager' in window)) {
    return { can: false, why: APPLE ? 'On iPhone and iPad: add the page to the home screen first (see below), then turn them on there.' : 'This browser has none.' }
  }
  if (!session?.push?.enabled) return { can: false, why: 'They are off at the server: a table [notify] in its serve.toml turns them on.' }
  if (Notification.permission === 'denied') return { can: false, why: 'This browser forbids them for this page. Its settings for this site can allow them.' }
  return { can: true, on: Notification.permission === 'granted' && Boolean(await found.pushManager.getSubscription()) }
}

/** Turn them on. */
export async function on(api) {
  if ((await Notification.requestPermission()) !== 'granted') throw new Error('the browser was told not to show any')
  const { pushManager } = await navigator.serviceWorker.ready
  const subscription = await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: raw(api.session.push.key) })
  try {
    await api.post('/web/push', subscription.toJSON())
  } catch (error) {
    await subscription.unsubscribe()
    throw error
  }
}

/** Turn them off. */
export async function off(api) {
  const found = await worker
  const subscription = await found.pushManager?.getSubscription()
  if (!subscription) return
  await api.delete('/web/push', { body: { endpoint: subscription.endpoint } })
  await subscription.unsubscribe()
}

function raw(key) {
  const text = atob(key.replaceAll('-', '+').replaceAll('_', '/'))
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0))
}
