/** The service worker: registered where the browser lets us, and why not where it does not. */

/** Resolves with its registration, or with `untrusted` (the certificate) or `none` (this browser has no workers). */
export const worker = register()

async function register() {
  if (!isSecureContext) return 'untrusted'
  if (!navigator.serviceWorker) return 'none'
  try {
    return await navigator.serviceWorker.register('/sw.js')
  } catch (error) {
    console.debug(error)
    return error.name === 'SecurityError' || location.protocol === 'https:' ? 'untrusted' : 'none'
  }
}
