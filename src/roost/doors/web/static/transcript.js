/** The transcript: only the rows near what is seen are on the page, however long a session is. */

import { h, schedule } from './dom.js'
import { icon } from './icons.js'
import { rowNode } from './rows.js'

const AHEAD = 900 // pixels above and below the window that are there, too
const AT_ONCE = 120 // likewise, in the frame of a leap
const STEP = 260 // and so many more in each frame after it
const LEAP = 500 // pixels
const NEAR = 48 // pixels from the end that count as the end
const SEEN = 6 // rows by which a place is found again
const PRINTED = 3_000 // rows that are printed: all that was loaded, within reason
const OLDER = 1_600 // pixels from the beginning at which older messages are fetched
const GUESS = { user: 84, answer: 190, call: 46, sub: 46, note: 44, status: 26, compaction: 44, handover: 44, summary: 46, plan: 160, stderr: 46 }

export class Transcript {
  /** @param {{fold: import('./fold.js').Fold, act: object, older: () => Promise<void>}} its */
  constructor({ fold, act, older }) {
    this.fold = fold
    this.act = { ...act, fold: (row) => this.toggle(row) }
    this.fetch = older
    this.folded = new Map() // sub rows that a person has opened or closed
    this.memory = new Map() // what is open in a row, while it is out of sight
    this.nodes = new Map()
    this.heights = new Map()
    this.list = []
    this.tops = new Float64Array(1)
    this.dirty = new Set()
    this.stale = true
    this.atEnd = true
    this.unread = 0
    this.anchor = null
    this.marks = null
    this.build()
  }

  build() {
    this.above = h('div', { class: 'space' })
    this.below = h('div', { class: 'space' })
    this.rows = h('div', { class: 'pieces' })
    this.tip = h('div', { class: 'tip' })
    this.element = h('div', { class: 'transcript', role: 'feed', tabindex: 0, 'aria-label': 'Conversation', 'aria-busy': 'false' }, this.above, this.rows, this.tip, this.below)
    this.jump = h('button', { class: 'jump', type: 'button', hidden: true, onClick: () => this.toEnd({ smooth: true }) }, h('span', {}), icon('down'))
    this.element.addEventListener('scroll', this.#scrolled, { passive: true })
    this.element.addEventListener('wheel', (event) => { if (event.deltaY < 0) this.#leave() }, { passive: true })
    this.element.addEventListener('touchmove', () => { this.touched = performance.now() }, { passive: true })
    this.element.addEventListener('keydown', this.#keys)
    addEventListener('beforeprint', this.#print)
    addEventListener('afterprint', this.#print)
    this.sizes = new ResizeObserver((entries) => this.#resized(entries))
    this.sizes.observe(this.element)
  }

  /** Let go of what is held. */
  end() {
    this.sizes.disconnect()
    removeEventListener('beforeprint', this.#print)
    removeEventListener('afterprint', this.#print)
    this.gone = true
  }

  // -- news -----------------------------------------------------------------------------------------

  /** Take in what has changed in the fold; shown in the next frame. */
  news({ rows, list }) {
    for (const key of rows) this.dirty.add(key)
    if (list) this.stale = true
    if (list || rows.size > 0) schedule(this.paint)
  }

  /** Forget all that was shown: another snapshot is there. */
  anew() {
    for (const node of this.nodes.values()) this.#drop(node)
    this.nodes.clear()
    this.heights.clear()
    this.stale = true
    this.anchor = null
    this.atEnd = true
    this.unread = 0
    this.paint()
  }

  isFolded = (row) => this.folded.get(row.session) ?? this.fold.threads.get(row.session)?.state !== 'running'

  toggle(row) {
    this.folded.set(row.session, !this.isFolded(row))
    this.stale = true
    this.dirty.add(row.key)
    schedule(this.paint)
  }

  // -- painting -------------------------------------------------------------------------------------

  paint = () => {
    if (this.gone || !this.element.isConnected || this.element.clientHeight === 0) return
    if (this.stale) this.#list()
    this.#range()
    this.dirty.clear()
    this.#settle()
    this.#button()
    this.#wantOlder()
  }

  /** On paper all rows are there, not only those that are seen. */
  #print = ({ type }) => {
    this.printing = type === 'beforeprint'
    this.paint()
  }

  #list() {
    const before = this.list
    this.list = this.fold.visible(this.isFolded)
    this.index = new Map(this.list.map((row, at) => [row.key, at]))
    if (!this.atEnd && before.length > 0 && this.list.at(-1) !== before.at(-1)) this.unread += 1
    this.stale = false
    this.untopped = true
  }

  /** Where each row begins, as far as is known. */
  #topped() {
    const { list } = this
    if (this.tops.length < list.length + 1) this.tops = new Float64Array(Math.ceil(list.length * 1.5) + 64)
    let top = 0
    for (let at = 0; at < list.length; at++) {
      this.tops[at] = top
      top += this.heights.get(list[at].key) ?? GUESS[list[at].kind] ?? 60
    }
    this.tops[list.length] = top
    this.untopped = false
  }

  /** The row at a height. */
  #at(y) {
    let [low, high] = [0, Math.max(this.list.length - 1, 0)]
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (this.tops[middle] <= y) low = middle
      else high = middle - 1
    }
    return low
  }

  /**
   * Bring the rows near the window onto the page; what of it is new has its height taken.  After a leap only those that are
   * seen come at once, and those around them in the frames after it.
   */
  #range() {
    const { element, list } = this
    for (let round = 0; round < 4; round++) {
      if (this.untopped) this.#topped()
      const total = this.tops[list.length]
      const height = element.clientHeight
      const top = this.atEnd ? Math.max(total - height, 0) : Math.min(this.#offset(), Math.max(total - height, 0))
      if (round === 0) {
        this.ahead = Math.abs(top - (this.lastTop ?? -Infinity)) > LEAP ? AT_ONCE : Math.min((this.ahead ?? 0) + STEP, AHEAD)
        this.lastTop = top
      }
      const [first, last] = this.#wanted(top, height)
      if (!this.#fill(first, last)) break
    }
    if (this.ahead < AHEAD) schedule(this.paint)
  }

  /** Which rows are to be there: those ahead by now, and of those that are there already what is not far away. */
  #wanted(top, height) {
    if (this.list.length === 0) return [0, 0]
    if (this.printing) return [Math.max(0, this.list.length - PRINTED), this.list.length]
    let [first, last] = [this.#at(top - this.ahead), this.#at(top + height + this.ahead) + 1]
    const [start, end] = [this.rows.firstChild, this.rows.lastChild].map((node) => (node === null ? undefined : this.index.get(node.dataset.key)))
    if (start === undefined || end === undefined) return [first, last]
    const [low, high] = [Math.max(start, this.#at(top - AHEAD)), Math.min(end + 1, this.#at(top + height + AHEAD) + 1)]
    if (low <= last && high >= first) [first, last] = [Math.min(first, low), Math.max(last, high)]
    return [first, last]
  }

  /** How far down the window is, by the heights that are known: the anchor's place, not the scroll bar's. */
  #offset() {
    const at = this.anchor === null ? undefined : this.index.get(this.anchor.key)
    return at === undefined ? this.element.scrollTop : this.tops[at] - this.anchor.offset
  }

  /** Make the rows from `first` to `last` be there; whether heights turned out to be others than was thought. */
  #fill(first, last) {
    const wanted = this.list.slice(first, last)
    const keys = new Set(wanted.map(({ key }) => key))
    for (const [key, node] of this.nodes) {
      if (keys.has(key)) continue
      if (node.contains(document.activeElement) || node.contains(getSelection()?.anchorNode ?? null)) this.element.focus({ preventScroll: true })
      this.nodes.delete(key)
      this.#drop(node)
    }
    const made = []
    let cursor = this.rows.firstChild
    for (let at = 0; at < wanted.length; at++) {
      const row = wanted[at]
      let node = this.nodes.get(row.key)
      if (node === undefined) {
        node = rowNode(row, this.#place(first + at))
        this.nodes.set(row.key, node)
        this.sizes.observe(node)
        made.push([row.key, node])
      } else if (this.dirty.has(row.key) || first + at >= this.list.length - 3 || row.kind === 'sub') {
        node.$show(row, this.#place(first + at))
        if (this.dirty.has(row.key)) made.push([row.key, node])
      }
      if (node === cursor) cursor = cursor.nextSibling
      else this.rows.insertBefore(node, cursor)
    }
    this.dirty.clear()
    this.above.style.height = `${this.tops[first]}px`
    this.below.style.height = `${Math.max(this.tops[this.list.length] - this.tops[last], 0)}px`
    let changed = false
    for (const [key, node] of made) {
      const height = node.offsetHeight
      if (this.heights.get(key) === height) continue
      this.heights.set(key, height)
      changed = this.untopped = true
    }
    return changed
  }

  #drop(node) {
    this.sizes.unobserve(node)
    node.remove()
  }

  #place(at) {
    const row = this.list[at]
    const thread = row.kind === 'sub' ? this.fold.threads.get(row.session) : null
    let memory = this.memory.get(row.key)
    if (memory === undefined) this.memory.set(row.key, (memory = {}))
    return {
      depth: row.depth, memory, act: this.act, final: this.#isFinal(at), speaker: this.#speaker(at), thread,
      folded: thread !== null && this.isFolded(row), waits: thread !== null && [...this.fold.waits.values()].some((wait) => wait.session_id === thread.id),
    }
  }

  /** Whether an answer is the last word of its turn. */
  #isFinal(at) {
    const next = this.list[at + 1]
    return next === undefined ? !this.fold.busy : next.kind === 'user' && next.depth === this.list[at].depth
  }

  /** The name of who speaks, where it is another one than before. */
  #speaker(at) {
    const row = this.list[at]
    if (row.kind !== 'answer' || !row.agent || row.depth > 0) return ''
    for (let n = at - 1; n >= 0 && n > at - 200; n--) {
      const before = this.list[n]
      if (before.thread === row.thread && before.agent && (before.kind === 'answer' || before.kind === 'call')) return before.agent === row.agent ? '' : row.agent
    }
    return this.fold.head.team.length > 1 ? row.agent : ''
  }

  // -- where we are -----------------------------------------------------------------------------------

  /** Put what was seen back where it was; at the end, stay there. */
  #settle() {
    const { element } = this
    if (this.atEnd) {
      const end = element.scrollHeight - element.clientHeight
      if (Math.abs(element.scrollTop - end) > 1) this.#scroll(end)
    } else if (this.anchor !== null) {
      const node = this.nodes.get(this.anchor.key)
      if (node !== undefined) {
        const off = node.offsetTop - this.element.scrollTop - this.anchor.offset
        if (Math.abs(off) > 1) this.#scroll(element.scrollTop + off)
      }
    }
    this.#remember()
  }

  #scroll(top) {
    this.ours = Math.round(top)
    this.element.scrollTop = top
  }

  /** The first row that is seen, and where: what must not jump. */
  #remember() {
    const top = this.element.scrollTop
    this.anchor = null
    for (const node of this.rows.children) {
      if (node.offsetTop + node.offsetHeight <= top) continue
      this.anchor = { key: node.dataset.key, offset: node.offsetTop - top }
      break
    }
  }

  #scrolled = () => {
    const { element } = this
    const left = element.scrollHeight - element.clientHeight - element.scrollTop
    const ours = this.ours !== undefined && Math.abs(element.scrollTop - this.ours) <= 1
    this.ours = undefined
    if (ours) return
    this.atEnd = left < NEAR && this.#isBottom()
    this.anchor = null
    this.#remember()
    if (this.anchor === null) this.anchor = this.#guessed()
    if (this.atEnd) this.unread = 0
    schedule(this.paint)
  }

  /** Scrolled to where nothing is yet: the row that will be there. */
  #guessed() {
    const top = this.element.scrollTop
    if (this.untopped) this.#topped()
    const at = this.#at(top)
    return this.list[at] ? { key: this.list[at].key, offset: this.tops[at] - top } : null
  }

  #isBottom() {
    const last = this.list.at(-1)
    return last === undefined || this.nodes.has(last.key)
  }

  #leave() {
    if (this.element.scrollHeight > this.element.clientHeight + NEAR) this.atEnd = false
  }

  #keys = (event) => {
    if (['ArrowUp', 'PageUp', 'Home'].includes(event.key)) this.#leave()
    if (event.target !== this.element || event.altKey || event.ctrlKey || event.metaKey) return
    if (event.key === 'End') {
      event.preventDefault()
      this.toEnd()
    } else if (event.key === 'Home') {
      event.preventDefault()
      this.reveal(this.list[0]?.key)
    }
  }

  #resized(entries) {
    let changed = false
    for (const { target } of entries) {
      if (target === this.element) {
        if (this.width !== target.clientWidth) this.#rewidth(target.clientWidth)
        changed = true
        continue
      }
      const { key } = target.dataset
      if (this.nodes.get(key) !== target || this.heights.get(key) === target.offsetHeight) continue
      this.heights.set(key, target.offsetHeight)
      changed = this.untopped = true
    }
    if (changed) this.paint()
  }

  /** Another width makes other heights: those out of sight are thought to change alike. */
  #rewidth(width) {
    if (this.width !== undefined) {
      this.heights.clear()
      for (const [key, node] of this.nodes) this.heights.set(key, node.offsetHeight)
      this.untopped = true
    }
    this.width = width
  }

  #button() {
    const shown = !this.atEnd && this.list.length > 0 && this.element.scrollHeight - this.element.clientHeight - this.element.scrollTop > NEAR
    this.jump.hidden = !shown
    this.jump.firstChild.textContent = this.unread > 0 ? 'New messages' : ''
    this.jump.setAttribute('aria-label', this.unread > 0 ? 'New messages: go to the end' : 'Go to the end')
    this.jump.classList.toggle('news', this.unread > 0)
  }

  /** Go to the newest. */
  toEnd() {
    this.atEnd = true
    this.unread = 0
    this.paint()
  }

  /** Go to a row, wherever it is. */
  reveal(key, { offset = 80 } = {}) {
    if (key === undefined) return
    const at = this.index.get(key)
    if (at === undefined) return
    this.atEnd = false
    this.anchor = { key, offset: at === 0 ? 0 : offset }
    this.paint()
  }

  /** Where somebody reads: the rows that are seen, and how far down each is; null at the end. */
  get place() {
    if (this.atEnd) return null
    const { scrollTop: top, clientHeight: height } = this.element
    const seen = [...this.rows.children].filter((node) => node.offsetTop + node.offsetHeight > top && node.offsetTop < top + height)
    return seen.slice(0, SEEN).map((node) => [node.dataset.key, Math.round(node.offsetTop - top)])
  }

  /** Go where somebody has read; whether one of those rows is here. */
  restore(place) {
    if (this.stale) this.#list()
    const [key, offset] = place.find(([known]) => this.index.has(known)) ?? []
    if (key === undefined) return false
    this.atEnd = false
    this.anchor = { key, offset }
    this.paint()
    return true
  }

  /** The same, made anew: what is open in it has been changed from outside. */
  reopen(key) {
    const node = this.nodes.get(key)
    if (node !== undefined) {
      this.nodes.delete(key)
      this.#drop(node)
    }
    this.#list()
    this.reveal(key)
  }

  /** Fetch older messages when the beginning of those that are here is near. */
  async #wantOlder() {
    if (!this.fold.more || this.loading || this.failed > Date.now()) return
    if (this.element.scrollTop > OLDER && this.list.length > 30) return
    this.loading = true
    try {
      await this.fetch()
    } catch {
      this.failed = Date.now() + 3_000
      setTimeout(() => schedule(this.paint), 3_100)
    } finally {
      this.loading = false
    }
    schedule(this.paint)
  }
}
