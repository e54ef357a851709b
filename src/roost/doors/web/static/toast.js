/** Short messages at the edge: read aloud, gone by themselves, and never in the way. */

import { h } from './dom.js'
import { icon } from './icons.js'
import { Refused, Unreached } from './api.js'

const STAY = 6_000
let place = null

function shelf() {
  place ??= h('div', { class: 'toasts', role: 'log', 'aria-live': 'polite', 'aria-label': 'Messages' })
  if (!place.isConnected) document.body.append(place) // the gate and the frame take each other's place, and all beside them
  return place
}

/**
 * Show a message.  `onGone` is called when it goes without its action.  `action` is `{label, act}`; `kind` is `error` for what went wrong, which stays twice as long.
 * @returns {() => void} what takes it away
 */
export function toast(message, { kind = '', action = null, stay = kind === 'error' ? 2 * STAY : STAY, onGone = () => {} } = {}) {
  let timer = 0
  let closed = false
  const close = (told = true) => {
    clearTimeout(timer)
    if (closed) return
    closed = true
    box.remove()
    if (told) onGone()
  }
  const box = h('div', { class: ['toast', kind] },
    kind === 'error' && icon('warn'),
    h('span', {}, message),
    action && h('button', { class: 'button quiet', type: 'button', onClick: () => { close(false); action.act() } }, action.label),
    h('button', { class: 'tool', type: 'button', 'aria-label': 'Dismiss', onClick: () => close() }, icon('close')),
  )
  const start = () => { timer = setTimeout(close, stay, true) }
  box.addEventListener('pointerenter', () => clearTimeout(timer))
  box.addEventListener('pointerleave', start)
  box.addEventListener('focusin', () => clearTimeout(timer))
  box.addEventListener('focusout', start)
  shelf().append(box)
  start()
  return close
}

/** Say what went wrong, and what to do. */
export function complain(error, doing = '') {
  console.debug(error)
  return toast(worded(error, doing), { kind: 'error' })
}

/** An error in a person's words. */
export function worded(error, doing = '') {
  const what = doing ? `Could not ${doing}. ` : ''
  if (error instanceof Unreached) return `${what}${error.message} Try again once it is back.`
  if (error instanceof Refused) {
    if (error.status === 401) return `${what}This browser is no longer paired.`
    if (error.status === 429) return `${what}${sentence(error.message)}${error.retryAfter ? ` Try again in ${error.retryAfter} s.` : ''}`
    return `${what}${sentence(error.message)}`
  }
  return `${what}${sentence(String(error?.message ?? error))}`
}

function sentence(words) {
  const whole = words.charAt(0).toUpperCase() + words.slice(1)
  return /[.!?…]$/.test(whole) ? whole : `${whole}.`
}

/** Read something aloud, and show nothing. */
export function announce(words) {
  voice ??= h('div', { class: 'hush', role: 'status', 'aria-live': 'polite' })
  if (!voice.isConnected) document.body.append(voice)
  voice.textContent = ''
  setTimeout(() => { voice.textContent = words }, 60)
}

let voice = null
