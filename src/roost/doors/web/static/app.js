/** The page: who is there, where in it we are, and what is shown there. */

import { api } from './api.js'
import { effect, fill, h, signal, styled } from './dom.js'
import { Frame } from './frame.js'
import { Live } from './live.js'
import * as store from './store.js'
import { announce, toast, worded } from './toast.js'
import { some } from './words.js'
import './worker.js'

const VIEWS = {
  s: async (root, context) => {
    const [{ mountSession }] = await Promise.all([import('./session.js'), styled('/static/view.css')])
    return mountSession(root, context)
  },
  new: async (root, context) => (await import('./spawn.js')).mountSpawn(root, context),
  health: async (root, context) => (await import('./health.js')).mountHealth(root, context),
  settings: async (root, context) => (await import('./settings.js')).mountSettings(root, context),
  more: async (root, context) => (await import('./settings.js')).mountMore(root, context),
}
const TITLES = { '': 'Sessions', inbox: 'Inbox', new: 'New session', health: 'Health', settings: 'Settings', more: 'More' }

const live = new Live({ api })
const route = signal(read())
let frame = null
let untend = () => {}
let gate = null
let shown = { unmount() {} }
let mounted = null // which address the view on the stage is of
let turn = 0

/** Where an address leads: `#/s/ID` and the like. */
function read() {
  const [name = '', id = ''] = location.hash.replace(/^#\/?/, '').split('/')
  const known = name in TITLES || name === 's'
  return { name: known ? name : '', id: name === 's' ? decode(id) : '' }
}

function decode(raw) {
  try {
    return decodeURIComponent(raw)
  } catch {
    return raw
  }
}

/** Go to an address of the page, as `#/inbox`. */
export function navigate(hash, { replace = false } = {}) {
  if (replace) {
    history.replaceState(null, '', hash)
    go()
  } else location.hash = hash
}

function go({ first = false } = {}) {
  if (location.hash.startsWith('#pair=')) return start()
  const before = route.peek()
  const next = read()
  if (!first && before.name === next.name && before.id === next.id) return
  route.value = next
  if (frame !== null) show(next, { first, before })
}

/** Put what the address names onto the stage; focus goes along, so that a screen reader reads on from there. */
async function show(to, { first = false, before = null } = {}) {
  frame.place(to)
  const where = to.name === 'inbox' ? (mounted ?? '/') : `${to.name}/${to.id}`
  const focus = () => first || frame.focus(to.name === 'inbox' ? 'inbox' : to.name === '' ? 'list' : 'stage', before)
  if (where === mounted) return focus()
  leave()
  mounted = where
  const mine = ++turn
  const root = frame.clear()
  if (where === '/') frame.home()
  else {
    try {
      const view = await VIEWS[to.name](root, { api, live, id: to.id, navigate })
      if (mine !== turn) return view?.unmount()
      shown = view ?? shown
    } catch (error) {
      if (mine !== turn) return
      console.error(error)
      frame.failed(worded(error, 'open it'), () => { mounted = null; show(to) })
    }
  }
  if (mine === turn) focus()
}

function leave() {
  shown.unmount()
  shown = { unmount() {} }
  mounted = null
}

// -- beginning ----------------------------------------------------------------------------------

/** Find out who we are; then the frame, or the gate before it. */
async function start() {
  const code = pairing()
  try {
    if (!api.session || code) await api.who()
  } catch (error) {
    if (!store.lastSeen()) return closed(worded(error))
    return enter() // the page was here before: it opens, says that the server is away, and waits for it
  }
  if (api.session.asks && !api.session.paired) return ask(code)
  const open = frame !== null
  enter()
  if (open) go()
  // A link from somebody else must not make this browser his.
  if (code && api.session.asks) toast('This browser is paired already. Log out first to pair it anew.')
}

/** The code of a pairing link; it is taken out of the address at once. */
function pairing() {
  const code = /^#pair=(.+)$/.exec(location.hash)?.[1] ?? ''
  if (code) history.replaceState(null, '', '#/')
  return decode(code)
}

async function ask(code = '', why = '') {
  const [{ mountGate }] = await Promise.all([import('./pair.js'), api.session ?? api.who().catch(() => {})])
  leave()
  live.close()
  untend()
  store.forget()
  frame?.remove()
  frame = null
  gate?.unmount()
  const root = h('div', { class: 'gate-place' })
  fill(document.body, root)
  gate = mountGate(root, { api, code, why, onIn: enter })
}

function enter() {
  store.session.value = api.session
  gate?.unmount()
  gate = null
  if (frame !== null) return
  frame = new Frame(route, { live, navigate })
  fill(document.body, frame.skip, frame.root)
  untend = store.tend(live)
  live.open()
  show(route.value = read(), { first: true })
}

function closed(why) {
  const again = () => { fill(document.body); start() }
  fill(document.body, h('main', { class: 'gate' }, h('h1', {}, 'Roost is out of reach'), h('p', {}, why),
    h('button', { class: 'button primary', type: 'button', onClick: again }, 'Try again')))
  addEventListener('online', again, { once: true })
}

// -- what goes on in the background ----------------------------------------------------------------

api.onStranger(() => {
  if (gate === null && api.session?.asks !== false) {
    api.session = null
    ask('', 'This browser is not paired any more. Pair it again to go on.')
  }
})
live.on('hello', ({ version }) => {
  if (!api.session) api.who().then((session) => { store.session.value = session }, () => {})
  else if (version && api.session.version && version !== api.session.version) {
    toast('The server has been updated.', { action: { label: 'Reload', act: () => location.reload() }, stay: 3_600_000 })
  }
})

let known = null
effect(() => {
  const all = store.waits.value
  const news = known === null ? [] : all.filter(({ id }) => !known.has(id))
  if (store.server.value) known = new Set(all.map(({ id }) => id))
  if (news.length) announce(`${some(all.length, 'question')} for you in the inbox`)
  badge(all.length)
})

effect(() => {
  const { name, id } = route.value
  const row = name === 's' ? store.row(id) : null
  const count = store.waits.value.length
  document.title = `${count ? `(${count}) ` : ''}${name === 's' ? (row?.title || row?.name || 'Session') : TITLES[name]} · Roost`
})

function badge(count) {
  const set = count ? navigator.setAppBadge?.(count) : navigator.clearAppBadge?.()
  set?.catch(() => {})
}

addEventListener('hashchange', () => go())
navigator.serviceWorker?.addEventListener('message', ({ data }) => { if (typeof data?.go === 'string' && data.go.startsWith('#/')) navigate(data.go) })
start()
