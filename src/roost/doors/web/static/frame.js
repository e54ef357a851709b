/** The frame: sessions at the left, one view in the middle, the inbox at the right; on a phone one of them at a time. */

import { effect, fill, h, keyed, set, signal, text } from './dom.js'
import { icon, mark } from './icons.js'
import { mountInbox } from './inbox.js'
import { bar } from './jobs.js'
import { mountList } from './list.js'
import * as store from './store.js'
import { age, some } from './words.js'

const WIDE = matchMedia('(min-width: 900px)')
const HUSH = 1_500 // a line that is back by then was never away

/** All that stays when the view changes. */
export class Frame {
  constructor(route, { live, navigate }) {
    this.route = route
    this.live = live
    this.navigate = navigate
    this.chosen = signal('')
    this.wide = signal(WIDE.matches)
    this.drawn = signal(false) // whether the inbox stands beside the stage; on a phone it is an address of its own
    this.open = signal(false) // whether the inbox is seen
    this.lost = 0 // since when the server is away
    this.timer = 0
    this.skip = h('a', { class: 'skip', href: '#main', onClick: (event) => { event.preventDefault(); this.stage.focus() } }, 'Skip to content')
    this.build()
    this.parts = [mountList(this.list, { chosen: this.chosen }), mountInbox(this.inbox, { live, open: this.open, close: () => this.pull(false) })]
    this.ends = [effect(() => this.connection()), effect(() => this.count()), effect(() => this.work()), effect(() => this.where())]
  }

  build() {
    this.banner = h('div', { class: 'banner', role: 'status', hidden: true })
    this.list = h('div', { class: 'view' })
    this.jobs = h('div', { class: 'doing' })
    this.host = h('small')
    this.stage = h('main', { class: 'stage', id: 'main', tabIndex: -1 })
    this.inbox = h('div', { class: 'view' })
    this.side = h('nav', { class: 'side', 'aria-label': 'Sessions' },
      h('h1', { class: 'hush' }, 'Sessions'),
      h('div', { class: 'topline' }, h('a', { class: 'brand', href: '#/' }, mark(), h('span', {}, 'Roost'), this.host),
        h('a', { class: 'tool make', href: '#/new', 'aria-label': 'New session', title: 'New session' }, icon('new'))),
      this.list, this.jobs,
      h('div', { class: 'foot' }, this.go('#/inbox', 'inbox', 'Inbox'), this.go('#/health', 'pulse', 'Health'), this.go('#/settings', 'gear', 'Settings')))
    this.drawer = h('aside', { class: 'drawer', 'aria-label': 'Inbox' }, this.inbox)
    this.desk = h('div', { class: 'desk' }, this.side, this.stage, this.drawer)
    this.tabs = h('nav', { class: 'tabs', 'aria-label': 'Page' },
      this.go('#/', 'sessions', 'Sessions'), this.go('#/inbox', 'inbox', 'Inbox'), this.go('#/new', 'new', 'New'), this.go('#/more', 'more', 'More'))
    this.root = h('div', { class: 'app' }, this.banner, this.desk, this.tabs)
    WIDE.addEventListener('change', this.turned)
    this.drawer.addEventListener('keydown', (event) => { if (event.key === 'Escape' && this.wide.peek() && !event.defaultPrevented) this.pull(false) })
  }

  go(href, symbol, label) {
    const inbox = href === '#/inbox'
    return h('a', { class: 'go', href, title: label, data: { go: href.slice(2) }, onClick: (event) => inbox && this.toggle(event) }, icon(symbol), h('span', {}, label),
      inbox && h('span', { class: 'badge', hidden: true }), inbox && h('span', { class: 'hush counted' }))
  }

  /** On a wide screen the inbox is a drawer, which its button opens and closes. */
  toggle(event) {
    if (!this.wide.peek()) return
    event.preventDefault()
    this.pull(!this.drawn.peek())
  }

  /** Open or close the drawer. */
  pull(out) {
    this.drawn.value = out
    this.lay(out)
    if (out) this.focus('inbox')
    else this.side.querySelector('[data-go="inbox"]').focus()
    if (!out && this.route.peek().name === 'inbox') this.navigate('#/', { replace: true })
  }

  turned = () => {
    this.wide.value = WIDE.matches
    this.place(this.route.peek())
  }

  remove() {
    WIDE.removeEventListener('change', this.turned)
    this.parts.forEach((part) => part.unmount())
    this.ends.forEach((end) => end())
    this.root.remove()
  }

  // -- where we are -------------------------------------------------------------------------------

  /** Lay the frame out for an address. */
  place({ name, id }) {
    if (name === 'inbox') this.drawn.value = true
    else this.chosen.value = id
    this.desk.dataset.shows = name === 'inbox' ? 'inbox' : name === '' ? 'list' : 'view'
    this.root.dataset.tabs = name === 's' ? 'none' : 'all'
    this.lay(this.drawn.peek())
  }

  /** On a phone, whichever is seen is what the page is about. */
  lay(drawn) {
    const { shows } = this.desk.dataset
    set(this.side, { role: !this.wide.peek() && shows === 'list' ? 'main' : null })
    set(this.drawer, { role: !this.wide.peek() && shows === 'inbox' ? 'main' : null })
    this.desk.classList.toggle('inbox', drawn)
    this.open.value = this.wide.peek() ? drawn : this.route.peek().name === 'inbox'
  }

  where() {
    const { name } = this.route.value
    const at = { s: '', health: 'more', settings: 'more' }
    for (const link of this.side.querySelectorAll('.go')) current(link, link.dataset.go === name && name !== 'inbox')
    const opener = this.side.querySelector('[data-go="inbox"]')
    opener.setAttribute('aria-expanded', String(this.drawn.value))
    for (const link of this.tabs.querySelectorAll('.go')) current(link, link.dataset.go === (at[name] ?? name))
    current(this.side.querySelector('.make'), name === 'new')
  }

  /** A new place for a view on the stage. */
  clear() {
    const root = h('div', { class: 'view' })
    fill(this.stage, root)
    return root
  }

  home() {
    fill(this.clear(), h('div', { class: 'empty grow' }, mark(), h('h1', {}, 'Roost'), h('p', {}, 'Choose a session to watch it, or give an agent something to do.'),
      h('a', { class: 'button primary', href: '#/new' }, icon('new'), 'New session')))
  }

  failed(why, again) {
    fill(this.clear(), h('div', { class: 'empty grow', role: 'alert' }, icon('warn'), h('h1', {}, 'This did not open'), h('p', {}, why),
      h('button', { class: 'button', type: 'button', onClick: again }, 'Try again')))
  }

  /** Take the focus along to where the reader is now. */
  focus(to, before = null) {
    const places = { inbox: this.drawer, list: this.side, stage: this.stage }
    const place = places[to]
    const heading = place.querySelector('h1')
    if (to === 'list' && before?.id) {
      const entry = [...place.querySelectorAll('.entry')].find((link) => link.hash === `#/s/${encodeURIComponent(before.id)}`)
      if (entry) return entry.focus({ preventScroll: true })
    }
    if (place.contains(document.activeElement) && document.activeElement.matches('input, textarea')) return
    const target = heading ?? place
    if (!target.hasAttribute('tabindex')) target.tabIndex = -1
    target.focus({ preventScroll: true })
  }

  // -- what it shows all the time -----------------------------------------------------------------

  count() {
    const number = store.waits.value.length
    for (const link of this.root.querySelectorAll('[data-go="inbox"]')) {
      text(link.querySelector('.badge'), number || '')
      link.querySelector('.badge').hidden = !number
      link.querySelector('.badge').setAttribute('aria-hidden', 'true')
      text(link.querySelector('.counted'), number ? `${number} waiting` : '')
    }
    const host = store.server.value?.host ?? store.session.value?.host
    text(this.host, host ?? '')
  }

  /** The slim line that says that the server is away; nothing else stops working meanwhile. */
  connection() {
    const { state, seen } = store.line.value
    clearTimeout(this.timer)
    if (state === 'open' || state === 'closed') {
      this.lost = 0
      this.banner.hidden = true
      return
    }
    this.lost ||= Date.now()
    const show = () => {
      const last = seen || store.lastSeen()
      const ago = last ? ` Last seen ${age(last) === 'now' ? 'just now' : `${age(last)} ago`}.` : ''
      const words = state === 'offline' ? `You are offline.${ago}` : `Reconnecting to the server…${ago}`
      if (this.banner.firstChild === null || this.banner.dataset.words !== words) {
        this.banner.dataset.words = words
        fill(this.banner, icon('offline'), h('span', {}, words), h('button', { class: 'button', type: 'button', onClick: () => this.live.retry() }, 'Try now'))
      }
      this.banner.hidden = false
      this.timer = setTimeout(show, 20_000)
    }
    if (this.banner.hidden) this.timer = setTimeout(show, state === 'offline' ? 0 : Math.max(0, this.lost + HUSH - Date.now()))
    else show()
  }

  work() {
    keyed(this.jobs, store.jobs.value.filter((job) => !job.ended_at).slice(0, 3), ({ id }) => id, bar, (node, job) => node.$paint(job))
  }
}

function current(link, is) {
  if (is) link.setAttribute('aria-current', 'page')
  else link.removeAttribute('aria-current')
}
