/** All that waits for a person, over all sessions: the oldest first, each answered by one thumb. */

import { api, part } from './api.js'
import { effect, fill, h, keyed, scope, styled, text } from './dom.js'
import { icon } from './icons.js'
import { titled } from './list.js'
import * as store from './store.js'
import { announce } from './toast.js'
import { some } from './words.js'

const LINGER = 4_000 // how long an answered card still says who has answered it
const MOST = 32 // sessions that are followed for that word
const WORD = 800 // how long the word of who it was may come after the list without the wait

/** Mount the inbox; `close` is what its button does, `open` a signal that says whether it is seen. */
export function mountInbox(root, { close, live, open }) {
  const inbox = new Inbox(root, close, live)
  const [, end] = scope(() => {
    effect(() => (open.value ? inbox.draw(store.waits.value) : inbox.rest()))
    effect(() => inbox.name(store.rows.value))
  })
  return { unmount: () => { end(); inbox.rest() } }
}

class Inbox {
  constructor(root, close, live) {
    this.live = live
    this.cards = new Map() // wait → its card, for as long as it is shown
    this.going = new Map() // wait → the timer that takes its card away
    this.follows = new Map() // session → unfollow
    this.forms = null
    this.heading = h('h1', { tabIndex: -1 }, 'Inbox')
    this.items = h('ul', { class: 'asks' })
    this.empty = h('div', { class: 'empty' }, icon('check'), h('h2', {}, 'Nothing waits for you'), h('p', {}, 'When an agent asks for approval, or has a question, you answer it here.'))
    fill(root, h('div', { class: 'topline' }, this.heading, h('button', { class: 'tool shut', type: 'button', 'aria-label': 'Close the inbox', onClick: close }, icon('close'))),
      h('div', { class: 'scroll' }, this.items, this.empty))
  }

  /** Nobody looks: what is half written stays, what is over goes, and nothing is followed. */
  rest() {
    this.follows.forEach((end) => end())
    this.follows.clear()
    for (const timer of this.going.values()) clearTimeout(timer)
    for (const id of this.going.keys()) this.cards.delete(id)
    this.going.clear()
    this.resting = true
  }

  async draw(waits) {
    text(this.heading, waits.length ? `Inbox (${waits.length})` : 'Inbox')
    this.waits = waits
    if (waits.length && this.forms === null) {
      const [forms] = await Promise.all([import('./forms.js'), styled('/static/view.css')])
      this.forms = forms
      waits = this.waits
    }
    const open = new Set(waits.map(({ id }) => id))
    for (const [id, entry] of this.cards) {
      if (open.has(id) || this.going.has(id)) continue
      if (this.resting) this.cards.delete(id)
      else this.gone(id, entry)
    }
    this.resting = false
    const shown = [...new Map([...[...this.cards].map(([id, { wait }]) => [id, wait]), ...waits.map((wait) => [wait.id, wait])]).values()]
    shown.sort((a, b) => (a.opened_at < b.opened_at ? -1 : a.opened_at > b.opened_at ? 1 : 0))
    keyed(this.items, shown, ({ id }) => id, (wait) => this.make(wait))
    this.empty.hidden = shown.length > 0
    this.watch(waits)
    this.name(store.rows.peek())
  }

  make(wait) {
    const card = this.forms.answerCard(wait, (answer) => api.post(`/api/waits/${part(wait.id)}`, answer))
    const parts = { title: h('span', { class: 'title', dir: 'auto' }), where: h('span', { class: 'place mono' }) }
    const head = h('h2', {}, h('a', { class: 'from', href: `#/s/${part(place(wait))}` }, parts.title, parts.where))
    const node = h('li', { class: 'asked' }, head, card)
    this.cards.set(wait.id, { wait, card, node, ...parts })
    return node
  }

  /** It is answered or withdrawn: the card says so for a moment, and goes. */
  gone(id, { card, wait }) {
    setTimeout(() => {
      if (card.dataset.over === undefined) card.close({ action: 'void', why: 'it was answered elsewhere, or withdrawn' })
    }, WORD)
    this.going.set(id, setTimeout(() => {
      const entry = this.cards.get(id)
      const inside = entry.node.contains(document.activeElement)
      const next = entry.node.nextElementSibling ?? entry.node.previousElementSibling
      this.cards.delete(id)
      this.going.delete(id)
      this.draw(this.waits)
      if (inside) (next?.querySelector('.from') ?? this.heading).focus?.()
      if (wait) announce(this.waits.length ? `${some(this.waits.length, 'question')} left` : 'Nothing waits any more')
    }, LINGER))
  }

  /** Hear from the sessions themselves who has answered what. */
  watch(waits) {
    const wanted = new Set(waits.map((wait) => place(wait)))
    for (const [session, end] of this.follows) {
      if (!wanted.has(session) && ![...this.cards.values()].some(({ wait }) => (place(wait)) === session)) {
        end()
        this.follows.delete(session)
      }
    }
    for (const session of [...wanted].slice(0, MOST)) if (!this.follows.has(session)) this.follow(session)
  }

  async follow(session) {
    let ended = false
    this.follows.set(session, () => { ended = true })
    try {
      const { last_event_seq: since } = await api.get(`/api/sessions/${part(session)}/snapshot`, { query: { detail: 'full', last: 1 } })
      if (!ended) this.follows.set(session, this.live.follow(session, since, (items) => items.forEach(({ event }) => this.heard(event))))
    } catch {
      // then nobody is named; the card goes all the same
    }
  }

  heard(event) {
    const entry = this.cards.get(event.request_id)
    if (!entry || entry.card.dataset.over !== undefined) return
    const me = store.session.peek()?.user
    if (event.type === 'wait_answered') entry.card.close({ ...event, by: event.by && event.by === me ? 'you' : event.by })
    else if (event.type === 'wait_voided') entry.card.close({ action: 'void', why: event.why })
  }

  name(rows) {
    for (const { wait, title, where } of this.cards.values()) {
      const row = rows?.get(wait.session_id) ?? rows?.get(place(wait))
      text(title, row ? titled(row) : wait.title || 'Session')
      text(where, wait.working_dir || row?.working_dir || '')
    }
  }
}

/** The session among whose events it is: of a sub-session's question, that of the tree. */
const place = (wait) => wait.log_id ?? wait.session_id
