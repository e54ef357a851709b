/** Finding words in a session: in all rows that are here, and on request in all older ones. */

import { h, text } from './dom.js'
import { icon } from './icons.js'
import { wordsOf } from './rows.js'

const MOST = 2_000
const PAINTED = 500 // hits that are marked at once

export class Find {
  /** @param {{transcript: import('./transcript.js').Transcript, fold: import('./fold.js').Fold, older: () => Promise<void>, onClose: () => void}} its */
  constructor({ transcript, fold, older, onClose }) {
    this.transcript = transcript
    this.fold = fold
    this.older = older
    this.onClose = onClose
    this.found = []
    this.at = -1
    this.input = h('input', { class: 'input', type: 'search', placeholder: 'Find in this session', 'aria-label': 'Find in this session', autocomplete: 'off', spellcheck: false, onInput: () => this.search(), onKeydown: (event) => this.keys(event) })
    this.count = h('span', { class: 'count', role: 'status' })
    this.more = h('button', { class: 'button quiet', type: 'button', hidden: true, onClick: () => this.all() }, 'Search older')
    this.element = h('search', { class: 'finder', hidden: true }, icon('search'), this.input, this.count, this.more,
      this.tool('Previous', 'down', () => this.step(-1), 'up'), this.tool('Next', 'down', () => this.step(1)), this.tool('Close', 'close', () => this.close()))
    this.painted = globalThis.Highlight ? new Highlight() : null
    if (this.painted) CSS.highlights.set('found', this.painted)
  }

  tool(label, symbol, act, extra = '') {
    return h('button', { class: ['tool', 'small', extra], type: 'button', 'aria-label': label, title: label, onClick: act }, icon(symbol))
  }

  open() {
    this.element.hidden = false
    this.input.focus()
    this.input.select()
    this.search()
  }

  close() {
    this.element.hidden = true
    this.found = []
    this.paint()
    this.onClose()
  }

  end() {
    CSS.highlights?.delete('found')
  }

  keys(event) {
    if (event.key === 'Enter') this.step(event.shiftKey ? -1 : 1)
    else if (event.key === 'Escape') this.close()
    else return
    event.preventDefault()
    event.stopPropagation()
  }

  /** Look through all rows, the newest first. */
  search({ stay = false } = {}) {
    const query = this.input.value.trim().toLowerCase()
    this.query = query
    this.found = query === '' ? [] : this.rows().filter((row) => wordsOf(row).toLowerCase().includes(query)).slice(-MOST)
    this.at = stay ? Math.min(this.at, this.found.length - 1) : this.found.length - 1
    this.tell()
    if (!stay && this.found.length > 0) this.show()
    this.paint()
  }

  rows() {
    return this.fold.visible(() => false)
  }

  tell() {
    text(this.count, this.query === '' ? '' : this.found.length === 0 ? 'None' : `${this.at + 1} of ${this.found.length}`)
    this.more.hidden = this.query === '' || !this.fold.more
  }

  step(by) {
    if (this.found.length === 0) return
    this.at = (this.at + by + this.found.length) % this.found.length
    this.tell()
    this.show()
  }

  /** Bring a hit onto the screen, and open what hides it. */
  show() {
    const row = this.found[this.at]
    for (let thread = this.fold.threads.get(row.thread); thread?.row; thread = thread.parent) this.transcript.folded.set(thread.id, false)
    const memory = this.transcript.memory.get(row.key) ?? {}
    this.transcript.memory.set(row.key, memory)
    memory.open = true
    if (row.kind === 'answer' && !row.text.toLowerCase().includes(this.query)) memory.thinking = true
    this.transcript.reopen(row.key)
    requestAnimationFrame(() => this.paint())
  }

  /** All of the session. */
  async all() {
    this.more.disabled = true
    try {
      const had = this.found.length > 0
      while (this.fold.more && !this.element.hidden) {
        await this.older(1000)
        this.found = this.rows().filter((row) => wordsOf(row).toLowerCase().includes(this.query)).slice(-MOST)
        text(this.count, `${this.found.length} so far…`)
      }
      this.search({ stay: had })
    } catch {
      text(this.count, 'The older ones could not be read')
    } finally {
      this.more.disabled = false
    }
  }

  /** Mark the hits in what is on the page. */
  paint() {
    if (!this.painted) return
    this.painted.clear()
    if (this.element.hidden || !this.query) return
    const walker = document.createTreeWalker(this.transcript.rows, NodeFilter.SHOW_TEXT)
    for (let node = walker.nextNode(); node !== null && this.painted.size < PAINTED; node = walker.nextNode()) {
      const words = node.data.toLowerCase()
      for (let at = words.indexOf(this.query); at >= 0 && this.painted.size < PAINTED; at = words.indexOf(this.query, at + this.query.length)) {
        const range = new Range()
        range.setStart(node, Math.min(at, node.length)) // small letters may be more than the capitals were
        range.setEnd(node, Math.min(at + this.query.length, node.length))
        this.painted.add(range)
      }
    }
  }
}
