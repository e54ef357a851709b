/** What one may choose on this device, who else is paired, and the way out. */

import { part } from './api.js'
import { fill, h, text } from './dom.js'
import { confirm } from './dialog.js'
import { icon, toMore } from './icons.js'
import * as push from './push.js'
import { qr } from './qr.js'
import * as store from './store.js'
import { complain, toast, worded } from './toast.js'
import { age } from './words.js'
import { worker } from './worker.js'

const THEMES = [['', 'As the device'], ['light', 'Light'], ['dark', 'Dark']]
const PLACE = 'roost.theme'

let offer = null // what the browser would ask, were this page to be installed
addEventListener('beforeinstallprompt', (event) => {
  event.preventDefault()
  offer = event
})

/** Mount what a phone has no room for in its bar. */
export function mountMore(root) {
  const go = (href, symbol, label, why, more = {}) => h('a', { class: 'go-row', href, ...more }, icon(symbol), h('span', {}, h('strong', {}, label), h('span', { class: 'why' }, why)), icon('forward'))
  page(root, 'More', h('nav', { class: 'go-rows', 'aria-label': 'More' },
    go('#/health', 'pulse', 'Health', 'The server, and what runs long'),
    go('#/settings', 'gear', 'Settings', 'Theme, devices, notifications'),
    go('/docs', 'book', 'API', 'Every request, to be tried', { target: '_blank' })))
  return { unmount() {} }
}

/** Mount the settings. */
export function mountSettings(root, { api }) {
  const { session } = api
  const stop = new AbortController()
  page(root, 'Settings', theme(), session?.asks && devices(api, stop.signal), notifications(api), install(session), about(api))
  return { unmount: () => stop.abort() }
}

function page(root, title, ...parts) {
  fill(root, h('div', { class: 'page' }, h('div', { class: 'topline' }, title !== 'More' && toMore(), h('h1', {}, title)), h('div', { class: 'scroll' }, h('div', { class: 'sheet' }, parts))))
}

function section(title, ...inside) {
  return h('section', { class: 'section' }, h('h2', {}, title), inside)
}

// -- theme ----------------------------------------------------------------------------------------

function theme() {
  const now = document.documentElement.dataset.theme ?? ''
  const choose = (value) => {
    if (value) document.documentElement.dataset.theme = value
    else delete document.documentElement.dataset.theme
    try {
      value ? localStorage.setItem(PLACE, value) : localStorage.removeItem(PLACE)
    } catch {
      // it holds until the page is closed
    }
  }
  return section('Theme', h('div', { class: 'choices', role: 'radiogroup', 'aria-label': 'Theme' }, THEMES.map(([value, label]) => h('label', { class: 'choice' },
    h('input', { type: 'radio', name: 'theme', value, checked: value === now, onChange: () => choose(value) }), h('span', {}, label)))))
}

// -- devices --------------------------------------------------------------------------------------

function devices(api, signal) {
  const list = h('ul', { class: 'devices' })
  const place = h('div', { class: 'pairing' })
  let known = null
  /** Read them; returns those that were not there before. */
  const load = async () => {
    try {
      const found = await api.get('/web/devices', { signal })
      const fresh = found.filter(({ id }) => known !== null && !known.has(id))
      if (known === null || fresh.length > 0 || found.length !== known.size) fill(list, found.map((device) => entry(api, device, load)))
      known = new Set(found.map(({ id }) => id))
      return fresh
    } catch (error) {
      if (!signal.aborted && known === null) fill(list, h('li', { class: 'wrong' }, worded(error, 'read the devices')))
      return []
    }
  }
  load()
  const add = h('button', { class: 'button', type: 'button', onClick: () => invite(api, place, add, load, signal) }, icon('phone'), 'Pair another device')
  return section('Devices', h('p', { class: 'why' }, 'Browsers that may use this server. Each stays for 30 days after its last visit.'), list, add, place)
}

function entry(api, device, load) {
  const end = async () => {
    const sure = await confirm({ title: `Remove “${device.label}”?`, body: 'It can do nothing here any more, from this moment on.', yes: 'Remove', danger: true })
    if (!sure) return
    try {
      await api.delete(`/web/devices/${part(device.id)}`)
      await load()
    } catch (error) {
      complain(error, 'remove it')
    }
  }
  const facts = [device.user, device.current ? 'this one' : `here ${ago(device.last_seen_at)}`, `paired ${ago(device.created_at)}`].filter(Boolean).join(' · ')
  return h('li', { class: 'device' }, icon('phone'), h('span', {}, h('strong', {}, device.label), h('span', { class: 'why' }, facts)),
    !device.current && h('button', { class: 'tool', type: 'button', 'aria-label': `Remove ${device.label}`, onClick: end }, icon('trash')))
}

const LOOK = 2_500 // between two looks for the device that is being paired

const ago = (at) => (age(at) === 'now' ? 'just now' : `${age(at)} ago`)

/** Show a pairing link, until somebody has come in by it. */
async function invite(api, place, button, load, signal) {
  button.disabled = true
  try {
    const { url, matrix, expires_at: due } = await api.post('/web/codes')
    const copy = async () => {
      try {
        await navigator.clipboard.writeText(url)
        toast('Link copied')
      } catch {
        getSelection().selectAllChildren(place.querySelector('.link'))
      }
    }
    const left = h('p', { class: 'why', role: 'status' })
    const tell = () => {
      const minutes = Math.ceil((Date.parse(due) - Date.now()) / 60_000)
      text(left, minutes > 0 ? `It works once, within ${minutes} min.` : 'It has expired. Make another one.')
      if (place.contains(left) && minutes > 0) setTimeout(tell, 10_000)
    }
    fill(place, matrix && qr(matrix, 'The pairing link as a QR code'), h('div', { class: 'stack' }, h('p', {}, 'Scan it with the other device, or open this link there:'), h('code', { class: 'link' }, url), left,
      h('button', { class: 'button', type: 'button', onClick: copy }, icon('copy'), 'Copy the link')))
    tell()
    place.scrollIntoView({ block: 'nearest' })
    const look = async () => {
      if (signal.aborted || !place.contains(left) || Date.now() > Date.parse(due) + LOOK) return
      const [device] = document.hidden ? [] : await load()
      if (device && place.contains(left)) {
        fill(place)
        toast(`${device.label} is paired.`)
      } else setTimeout(look, LOOK)
    }
    setTimeout(look, LOOK)
  } catch (error) {
    complain(error, 'make a link')
  } finally {
    button.disabled = false
  }
}

// -- notifications --------------------------------------------------------------------------------

function notifications(api) {
  const place = h('div', { class: 'stack' })
  const draw = async () => {
    const how = await push.state(api.session)
    if (how.can) {
      const box = h('input', { type: 'checkbox', role: 'switch', checked: how.on, onChange: () => change(box) })
      fill(place, h('label', { class: 'check' }, box, h('span', {}, 'Tell this device', h('span', { class: 'why' }, 'When something waits for you, though no page is open.'))))
    } else fill(place, h('p', { class: 'why' }, how.why))
  }
  const change = async (box) => {
    box.disabled = true
    try {
      await (box.checked ? push.on(api) : push.off(api))
    } catch (error) {
      complain(error, box.checked ? 'turn notifications on' : 'turn notifications off')
    }
    draw()
  }
  draw()
  return section('Notifications', place)
}

// -- install --------------------------------------------------------------------------------------

function install(session) {
  if (navigator.standalone || matchMedia('(display-mode: standalone)').matches) return null
  const place = h('div', { class: 'stack' })
  const draw = async () => fill(place, (await worker) === 'untrusted' ? untrusted(session) : offer ? offered(offer) : byHand())
  draw()
  return section('Install', place)
}

function offered(event) {
  const button = h('button', { class: 'button', type: 'button', onClick: async () => {
    await event.prompt()
    const { outcome } = await event.userChoice
    offer = null
    if (outcome === 'accepted') button.replaceWith(h('p', { class: 'why' }, 'Installed.'))
  } }, icon('phone'), 'Install the app')
  return [h('p', { class: 'why' }, 'As an app it has its own window, and a count at its icon.'), h('p', {}, button)]
}

const byHand = () => h('p', { class: 'why' }, push.APPLE ? 'In Safari: the Share button, then “Add to Home Screen”.' : 'In the browser’s menu: “Install” or “Add to Home screen”.')

/** What to do where the browser does not trust the server. */
function untrusted(session) {
  const plain = location.protocol === 'http:'
  return h('div', { class: 'note amber' }, icon('warn'), h('div', {},
    h('strong', {}, plain ? 'This page came without encryption.' : 'This browser does not trust the server’s certificate.'),
    h('p', {}, 'All else works, but the page can’t be installed, nor tell you anything while it is closed.'),
    plain ? h('p', {}, 'Open it at an address that begins with https://, or on the server’s own machine at localhost.')
      : session?.ca ? [h('p', {}, h('a', { href: '/web/ca.pem' }, 'Get the server’s authority'), ', compare its fingerprint with what the server printed, and trust it:'), trusting()]
        : h('p', {}, 'Give the server a certificate of your own (', h('code', {}, '--tls-cert'), ', ', h('code', {}, '--tls-key'), '), or let it make an authority that this device trusts once (', h('code', {}, '--own-ca'), ').')))
}

const trusting = () => h('ul', { class: 'steps' },
  h('li', {}, 'iPhone, iPad: install the profile in Settings → General → VPN & Device Management, then switch it on in General → About → Certificate Trust Settings.'),
  h('li', {}, 'Android: Settings → Security → Encryption & credentials → Install a certificate → CA certificate.'),
  h('li', {}, 'A computer: add it to the authorities of the system, or of the browser, for websites.'))

/** Whoever comes next at this device finds nothing of ours on it: drafts, the last choices, messages that were shown. */
async function emptied() {
  try {
    for (const storage of [sessionStorage, localStorage]) {
      for (const name of Object.keys(storage)) if (name.startsWith('roost.') && name !== PLACE) storage.removeItem(name)
    }
  } catch {
    // then nothing was kept
  }
  const found = await worker
  const shown = await found.getNotifications?.().catch(() => []) // of a worker that could not be had this is a word
  shown?.forEach((one) => one.close())
}

// -- about ----------------------------------------------------------------------------------------

function about(api) {
  const { session } = api
  const out = async () => {
    if (!(await confirm({ title: 'Log out?', body: 'This browser forgets the server. Pair it again to come back.', yes: 'Log out' }))) return
    try {
      await push.off(api).catch(() => {})
      await api.delete('/web/session')
      await emptied()
      location.replace('/')
      location.reload()
    } catch (error) {
      complain(error, 'log out')
    }
  }
  return section('About',
    h('p', {}, `Roost ${store.server.peek()?.version ?? session?.version ?? ''}`, session?.host ? ` on ${session.host}` : '', session?.user ? `, as ${session.user}` : '', '.'),
    h('p', { class: 'buttons' }, h('a', { class: 'button', href: '/docs', target: '_blank' }, icon('book'), 'API'),
      session?.asks && h('button', { class: 'button', type: 'button', onClick: out }, icon('out'), 'Log out')))
}
