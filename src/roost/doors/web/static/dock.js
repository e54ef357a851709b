/** What waits for a person in this session: one card at a time, above the field, the oldest first. */

import { part } from './api.js'
import { fill, h, text } from './dom.js'
import { answerCard, told } from './forms.js'
import { icon } from './icons.js'
import { session } from './store.js'
import { announce } from './toast.js'

const STAY = 2_200 // how long a card says what was answered

export class Dock {
  constructor({ api, fold, onChange }) {
    this.api = api
    this.fold = fold
    this.onChange = onChange
    this.cards = new Map()
    this.shown = ''
    this.count = h('span', { class: 'count' })
    this.back = h('button', { class: 'tool small up', type: 'button', 'aria-label': 'Question before', onClick: () => this.step(-1) }, icon('back'))
    this.next = h('button', { class: 'tool small', type: 'button', 'aria-label': 'Next question', onClick: () => this.step(1) }, icon('forward'))
    this.pager = h('div', { class: 'pager', hidden: true }, this.back, this.count, this.next)
    this.place = h('div', { class: 'slot' })
    this.element = h('div', { class: 'dock', hidden: true }, this.pager, this.place)
  }

  /** Bring the cards up to what waits now. */
  paint() {
    for (const [id, card] of this.cards) if (!this.fold.waits.has(id)) this.#over(id, card)
    for (const [id, wait] of this.fold.waits) {
      if (this.cards.has(id)) continue
      this.cards.set(id, answerCard(wait, (body) => this.api.post(`/api/waits/${part(id)}`, body)))
      const heading = this.cards.get(id).querySelector('h2').textContent
      announce(`${wait.agent_name || 'The agent'} asks: ${heading}`)
    }
    if (!this.cards.has(this.shown)) this.#show(this.cards.keys().next().value ?? '')
    else this.#count()
  }

  #over(id, card) {
    if (card.leaving) return
    const how = named(this.fold.settled.get(id) ?? { action: 'void' })
    if (!card.dataset.over || how.action === 'void') card.close(how)
    if (!card.contains(document.activeElement)) announce(told(how))
    card.leaving = setTimeout(() => {
      this.cards.delete(id)
      const held = card.contains(document.activeElement)
      this.paint()
      if (held) this.onChange()
    }, this.shown === id ? STAY : 0)
  }

  #show(id) {
    this.shown = id
    const card = this.cards.get(id)
    if (card === undefined) fill(this.place)
    else if (this.place.firstChild !== card) fill(this.place, card)
    this.element.hidden = card === undefined
    this.#count()
  }

  #count() {
    const ids = [...this.cards.keys()]
    this.pager.hidden = ids.length < 2
    text(this.count, `${ids.indexOf(this.shown) + 1} of ${ids.length}`)
  }

  step(by) {
    const ids = [...this.cards.keys()]
    this.#show(ids[(ids.indexOf(this.shown) + by + ids.length) % ids.length])
  }

  /** Show a certain question, and go to it. */
  go(id) {
    if (!this.cards.has(id)) return
    this.#show(id)
    this.cards.get(id).querySelector('.primary, button')?.focus()
  }

  /** Another snapshot is there: cards of what still waits stay as they are. */
  end() {
    for (const card of this.cards.values()) clearTimeout(card.leaving)
  }
}

/** Whoever has answered by our own name is us. */
function named(how) {
  const me = session.peek()?.user
  return how.by && how.by === me ? { ...how, by: 'you' } : how
}
