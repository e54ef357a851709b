/** One session on the page: its transcript as it grows, what it asks, and a field to answer, steer and go on. */

import { part } from './api.js'
import { Composer } from './composer.js'
import { ask, confirm, dialog, menu } from './dialog.js'
import { Dock } from './dock.js'
import { effect, fill, h, schedule, text } from './dom.js'
import { Find } from './find.js'
import { Fold } from './fold.js'
import { copy } from './calls.js'
import { icon } from './icons.js'
import * as store from './store.js'
import { short } from './text.js'
import { announce, complain, toast, worded } from './toast.js'
import { Transcript } from './transcript.js'
import { count, money, some, when } from './words.js'

const PAGE = 120 // messages at first
const OLDER = 150
const AGAIN = 5_000 // after so long a session that was refused is asked for again
const FAR = 8 // pages that are fetched to find again where one was

/** Mount the view of a session; `unmount` lets go of it. */
export function mountSession(root, { api, live, id, navigate }) {
  const view = new View(root, { api, live, id, navigate })
  view.load()
  return { unmount: () => view.end() }
}

const WORDS = { new: 'new', queued: 'queued', running: 'works', waiting: 'waits for you', idle: 'idle', failed: 'failed', canceled: 'interrupted', completed: 'completed', gone: 'deleted' }
const SAFETY = [['strict', 'Strict: ask before every tool'], ['balanced', 'Balanced: ask before what changes things'], ['restricted', 'Restricted: refuse what is not allowed'], ['autonomous', 'Autonomous: never ask'], ['', 'None: what only reads runs']]

class View {
  constructor(root, { api, live, id, navigate }) {
    Object.assign(this, { root, api, live, id, navigate, ends: [], stop: new AbortController() })
    this.path = `/api/sessions/${part(id)}`
    this.fold = new Fold(id)
    this.transcript = new Transcript({ fold: this.fold, older: () => this.older(), act: { fork: (row) => this.fork(row), answer: (wait) => this.dock.go(wait) } })
    this.dock = new Dock({ api, fold: this.fold, onChange: () => this.composer.input.focus() })
    this.composer = new Composer({ api, fold: this.fold, id, sent: () => this.transcript.toEnd() })
    this.find = new Find({ transcript: this.transcript, fold: this.fold, older: (last) => this.older(last), onClose: () => this.transcript.element.focus({ preventScroll: true }) })
    this.build()
    this.ends.push(live.on('row', (row) => { if (row.id === id) this.heard(row) }), live.on('gone', (gone) => { if (gone === id) this.left() }),
      effect(() => this.elsewhere(store.waits.value.filter((wait) => (wait.log_id ?? wait.session_id) !== id).length)),
      live.on('state', ({ state }) => { if (state === 'open' && this.away) this.load() }))
  }

  build() {
    this.dot = h('span', { class: 'dot' })
    this.title = h('h1', { tabindex: -1 }, h('button', { class: 'titled', dir: 'auto', type: 'button', title: 'Rename', onClick: () => this.rename() }))
    this.about = h('p', { class: 'about' })
    this.state = h('span', { class: 'word' })
    this.who = h('span', { class: 'who' }, h('span'), h('span', { class: 'on-model' }))
    this.meter = h('span', { class: 'meter', role: 'img' }, h('span', { class: 'bar' }, h('span', { class: 'full' })), h('span', { class: 'number' }))
    this.cost = h('span', { class: 'cost' })
    this.star = h('button', { class: 'tool starring', type: 'button', 'aria-label': 'Star', 'aria-pressed': 'false', onClick: () => this.starred() }, icon('star'))
    this.search = h('button', { class: 'tool', type: 'button', 'aria-label': 'Find in this session', title: 'Find (Ctrl F)', onClick: () => this.find.open() }, icon('search'))
    this.dots = h('button', { class: 'tool', type: 'button', 'aria-label': 'Actions', 'aria-haspopup': 'menu', 'aria-expanded': 'false', onClick: () => this.actions() }, icon('more'))
    this.about.append(this.dot, this.state, this.who, this.meter, this.cost)
    this.home = h('a', { class: 'tool back', href: '#/', 'aria-label': 'Sessions' }, icon('back'), h('span', { class: 'badge', 'aria-hidden': 'true', hidden: true }))
    this.head = h('header', { class: 'topline session-head' },
      this.home,
      h('div', { class: 'names' }, this.title, this.about), this.star, this.search, this.dots)
    this.doing = h('p', { class: 'doing-now', hidden: true }, h('span'))
    this.blank = h('div', { class: 'blank' }, bones())
    this.stage = h('div', { class: 'stage-of' }, this.blank, this.transcript.element, this.transcript.jump)
    this.element = h('section', { class: 'session', 'aria-label': 'Session', onKeydown: (event) => this.keys(event) }, this.head, this.find.element, this.stage, this.doing, this.dock.element, this.composer.element)
    this.transcript.element.hidden = true
    this.composer.element.hidden = true
    this.transcript.element.addEventListener('scroll', this.mark, { passive: true })
    fill(this.root, this.element)
    const row = store.rows.peek()?.get(this.id)
    if (row) {
      Object.assign(this.fold.head, { title: row.title, state: row.state, agent: row.agent, model: row.model, starred: row.starred, turn: ['running', 'waiting'].includes(row.state) })
      this.paintHead()
    }
  }

  end() {
    this.gone = true
    clearTimeout(this.again)
    clearTimeout(this.marking)
    this.stop.abort()
    this.unfollow?.()
    this.ends.forEach((end) => end())
    this.transcript.end()
    this.dock.end()
    this.find.end()
  }

  // -- reading --------------------------------------------------------------------------------------------

  /** Take a snapshot, and follow from where it was taken. */
  async load() {
    try {
      const shot = await this.api.get(`${this.path}/snapshot`, { query: { detail: 'full', last: PAGE }, signal: this.stop.signal })
      if (this.gone) return
      this.away = false
      this.unfollow?.()
      const place = this.blank.hidden ? this.transcript.place : history.state?.place
      this.fold.open(shot)
      const row = store.rows.peek()?.get(this.id)
      if (row) this.fold.hear(row)
      this.blank.hidden = true
      this.transcript.element.hidden = this.composer.element.hidden = false
      this.transcript.anew()
      this.paint()
      if (place) this.back(place)
      this.unfollow = this.live.follow(this.id, this.fold.cursor, (items) => this.take(items), { onGap: () => this.load(), onRefused: (why) => this.refused(why) })
    } catch (error) {
      if (!this.gone) this.failed(error)
    }
  }

  /** Who comes back, by the browser's own button or after a reload, reads on where he was. */
  async back(place) {
    for (let tried = 0; tried < FAR && !this.transcript.restore(place) && this.fold.more; tried++) {
      await this.older().catch(() => { tried = FAR })
      if (this.gone) return
      this.paintNow()
    }
  }

  /** Keep where one reads with this entry of the browser's history. */
  mark = () => {
    clearTimeout(this.marking)
    this.marking = setTimeout(() => {
      const { place } = this.transcript
      const here = location.hash === `#/s/${part(this.id)}`
      if (here && (place || history.state?.place)) history.replaceState({ place }, '')
    }, 250)
  }

  take(items) {
    for (const { event, id } of items) {
      try {
        this.fold.take(event, id)
      } catch (error) {
        reportError(error) // one frame that makes no sense takes no others with it
      }
    }
    this.paint()
  }

  refused({ code, message }) {
    if (code === 'unknown_session') return this.left()
    toast(message || 'This session can’t be followed.', { kind: 'error' })
    clearTimeout(this.again)
    this.again = setTimeout(() => this.load(), AGAIN) // else what is shown would stay as it is
  }

  heard(row) {
    this.fold.hear(row)
    this.paint()
  }

  async older(last = OLDER) {
    const { first, more } = this.fold
    if (!more) return
    const page = await this.api.get(`${this.path}/snapshot`, { query: { detail: 'full', last, before: first }, signal: this.stop.signal, tries: 1 })
    if (this.gone || this.fold.first !== first) return
    this.fold.older(page)
    this.paint()
  }

  failed(error) {
    const missing = error.status === 404
    this.away = !missing // it is tried again as soon as the line is there
    fill(this.blank, h('div', { class: 'empty', role: 'alert' }, icon('warn'), h('h2', {}, missing ? 'There is no such session' : 'The session did not load'),
      h('p', {}, missing ? 'It was deleted, or it is not yours to see.' : worded(error)),
      missing ? h('a', { class: 'button', href: '#/' }, 'All sessions') : h('button', { class: 'button', type: 'button', onClick: () => { fill(this.blank, bones()); this.load() } }, icon('refresh'), 'Try again')))
    this.blank.hidden = false
    this.transcript.element.hidden = this.composer.element.hidden = true
  }

  left() {
    this.fold.head.gone ||= 'deleted'
    this.fold.changes.head = true
    this.paint()
  }

  // -- painting -------------------------------------------------------------------------------------------

  paint() {
    schedule(this.paintNow)
  }

  paintNow = () => {
    if (this.gone) return
    const changes = this.fold.flush()
    this.transcript.news(changes)
    if (changes.rows.size > 0 || changes.list) this.spoken()
    if (changes.head || changes.list) this.paintHead()
    this.paintDoing(this.fold.head, this.fold.state)
    if (changes.waits) this.dock.paint()
    if (changes.head || changes.queue || changes.waits) this.composer.paint()
    if (!this.find.element.hidden && changes.list) this.find.search({ stay: true })
  }

  paintHead() {
    const { head, state } = this.fold
    text(this.title.firstChild, head.title || head.name || 'Untitled')
    this.dot.dataset.state = state
    text(this.state, head.canceling ? 'stopping' : head.compacting ? 'sums up' : WORDS[state] ?? state)
    this.about.dataset.state = state
    text(this.who.firstChild, head.agent)
    text(this.who.lastChild, [head.agent && ' · ', tailOf(head.model)].filter(Boolean).join(''))
    this.who.hidden = !head.agent && !head.model
    this.who.title = [head.agent, head.model].filter(Boolean).join(' · ')
    this.paintMeter(head.usage)
    text(this.cost, money(head.treeCost))
    this.cost.title = head.treeCost > head.usage.cost ? `${money(head.usage.cost) || '$0'} of this session, the rest of those below it` : 'Cost so far'
    this.star.setAttribute('aria-pressed', String(head.starred))
    this.star.classList.toggle('on', head.starred)
    this.transcript.element.setAttribute('aria-busy', String(state === 'running'))
    this.paintEmpty(head)
  }

  paintMeter({ context, limit, threshold }) {
    this.meter.hidden = !context
    const share = limit ? Math.min(context / limit, 1) : 0
    this.meter.firstChild.hidden = !limit
    this.meter.firstChild.firstChild.style.width = `${Math.round(share * 100)}%`
    this.meter.dataset.full = threshold && share > threshold * 0.9 ? 'yes' : share > 0.85 ? 'yes' : ''
    text(this.meter.lastChild, limit ? (share < 0.01 ? '<1%' : `${Math.round(share * 100)}%`) : `${count(context)} tokens`)
    const words = `Context: ${count(context)}${limit ? ` of ${count(limit)}` : ''} tokens`
    this.meter.title = words
    this.meter.setAttribute('aria-label', words)
  }

  /** On a phone the way back tells that others wait, too. */
  elsewhere(number) {
    const badge = this.home.lastChild
    badge.dataset.count = number
    badge.hidden = number === 0
    this.home.setAttribute('aria-label', number ? `Sessions (${some(number, 'question')} in others)` : 'Sessions')
  }

  /** What goes on while nothing can be seen of it. */
  paintDoing(head, state) {
    const last = this.fold.root.rows.at(-1)
    const silent = state === 'running' && !(last?.kind === 'answer' && last.streaming && last.text) && !(last?.kind === 'call' && last.state === 'running') && !(last?.kind === 'sub')
    const words = head.gone ? 'This session was deleted.' : head.indexing ? `Reads ${head.indexing.name}${head.indexing.total ? ` (${head.indexing.current} of ${head.indexing.total})` : ''}` : head.starting ? 'Starts its tools' : state === 'queued' ? 'Waits for its turn' : silent ? 'Works' : ''
    this.doing.hidden = words === ''
    this.doing.classList.toggle('busy', !head.gone && state !== 'queued')
    text(this.doing.firstChild, words)
  }

  paintEmpty(head) {
    const empty = this.fold.root.rows.length === 0 && !this.fold.more && this.transcript.element.hidden === false
    const { tip } = this.transcript
    if (!empty) return tip.replaceChildren()
    if (tip.childElementCount > 0) return
    fill(tip, h('div', { class: 'empty' }, icon('sessions'), h('h2', {}, head.agent ? `${head.agent} is ready` : 'Nothing here yet'), h('p', {}, head.welcome || head.description || 'Write below what it is to do.')))
  }

  /** Read aloud what is whole: answers, not their pieces. */
  spoken() {
    const last = this.fold.root.rows.findLast(({ kind }) => kind === 'answer')
    if (last === undefined || last.streaming) {
      this.hearing = last
      return
    }
    if (this.hearing === last) announce(short(last.text, 400))
    this.hearing = null
  }

  // -- keys -----------------------------------------------------------------------------------------------

  keys(event) {
    if ((event.ctrlKey || event.metaKey) && event.key === 'f' && !event.shiftKey && document.activeElement !== this.find.input) {
      event.preventDefault()
      return this.find.open()
    }
    if (event.key !== 'Escape' || event.defaultPrevented || !this.fold.busy) return
    if (Date.now() - (this.escaped ?? 0) < 1_500) this.composer.cancel()
    else announce('Press Escape again to stop the agent')
    this.escaped = Date.now()
  }

  // -- what can be done -------------------------------------------------------------------------------------

  actions() {
    const { head } = this.fold
    menu(this.dots, [
      { label: 'Rename', icon: 'pen', act: () => this.rename() },
      { label: head.starred ? 'Remove star' : 'Star', icon: 'star', act: () => this.starred() },
      { label: 'Safety mode', icon: 'check', act: () => this.safety() },
      { label: 'Sum up the conversation', icon: 'refresh', act: () => this.compact() },
      { label: 'Details', icon: 'info', act: () => this.details() },
      { label: 'Copy link', icon: 'link', act: () => this.link() },
      { label: 'Export', icon: 'file', act: () => this.save() },
      head.turn && !this.fold.busy && { label: 'End the agent CLI', icon: 'stop', act: () => this.composer.cancel() },
      !head.gone && { label: 'Delete', icon: 'trash', danger: true, act: () => this.erase() },
    ], { label: 'Actions for this session' })
  }

  async rename() {
    const title = await ask({ title: 'Rename session', label: 'Title', value: this.fold.head.title, max: 200 })
    if (!title || title === this.fold.head.title) return
    await this.change('rename it', () => this.api.patch(`${this.path}/title`, { title }), { title })
  }

  async starred() {
    const starred = !this.fold.head.starred
    await this.change('star it', () => this.api.patch(`${this.path}/starred`, { starred }), { starred })
  }

  safety() {
    const { safety } = this.fold.head
    menu(this.dots, SAFETY.map(([mode, label]) => ({ label, icon: mode === safety ? 'check' : 'forward', danger: mode === 'autonomous', act: () => this.setSafety(mode) })), { label: 'Safety mode' })
  }

  setSafety(mode) {
    return this.change('change the safety mode', () => this.api.patch(`${this.path}/safety-policy`, { safety_policy: mode }), { safety: mode })
  }

  async compact() {
    const instruction = await ask({ title: 'Sum up the conversation', label: 'What the summary is to heed (optional)', yes: 'Sum up', empty: true, hint: 'It is summed up before the next request to the model.' })
    if (instruction === null) return
    try {
      await this.api.post(`${this.path}/compaction`, instruction ? { instruction } : {})
      toast(this.fold.head.turn ? 'The conversation is summed up at the next step.' : 'The conversation is summed up with your next message.')
    } catch (error) {
      complain(error, 'sum it up')
    }
  }

  /** Show a change at once, and take it back where the server refuses it. */
  async change(doing, act, news) {
    const before = Object.fromEntries(Object.keys(news).map((name) => [name, this.fold.head[name]]))
    const put = (values) => {
      Object.assign(this.fold.head, values)
      this.fold.changes.head = true
      this.paint()
    }
    put(news)
    try {
      await act()
    } catch (error) {
      put(before)
      complain(error, doing)
    }
  }

  async fork(row) {
    try {
      const ordinal = row.ordinal ?? (await this.ordinal(row))
      const made = await this.api.post(`${this.path}/fork`, { user_message_index: ordinal })
      try {
        sessionStorage.setItem(`roost.draft.${made.id}`, row.text)
        sessionStorage.setItem(`roost.source.${made.id}`, this.composer.source)
      } catch {
        // without storage the field is empty
      }
      toast('Forked: all before that message is here. Change it, and send it again.')
      this.navigate(`#/s/${part(made.id)}`)
    } catch (error) {
      complain(error, 'fork it')
    }
  }

  /** What the server counts a message as that came while we watched. */
  async ordinal(row) {
    const page = await this.api.get(`${this.path}/snapshot`, { query: { detail: 'full', last: 1, before: row.id + 1 } })
    const found = page.messages.find(({ id }) => id === row.id)
    if (found?.ordinal === undefined) throw new Error('This message can’t be forked from')
    return found.ordinal
  }

  async link() {
    const link = `${location.origin}/#/s/${part(this.id)}`
    toast((await copy(link)) ? 'Link copied' : link)
  }

  async save() {
    try {
      const whole = await this.api.get(`${this.path}/recovery`, { timeout: 120_000 })
      const url = URL.createObjectURL(new Blob([JSON.stringify(whole, null, 2)], { type: 'application/json' }))
      h('a', { href: url, download: `${short(this.fold.head.title || this.id, 60).replace(/[^\p{L}\p{N}._-]+/gu, '-')}.json` }).click()
      setTimeout(() => URL.revokeObjectURL(url), 30_000)
    } catch (error) {
      complain(error, 'export it')
    }
  }

  details() {
    const { head } = this.fold
    const { usage } = head
    const facts = [
      ['Session', this.id], ['Agent', [head.agent, head.source !== head.agent && head.source].filter(Boolean).join(' of ')], ['Model', head.model], ['Host', head.host], ['Folder', head.workingDir], ['Worktree', head.worktree],
      ['Begun', head.createdAt && when(head.createdAt)], ['Turns', head.turns], ['Safety mode', head.safety || 'none'], ['Context', usage.context && `${count(usage.context)}${usage.limit ? ` of ${count(usage.limit)}` : ''} tokens`],
      ['Cost', money(usage.cost)], ['With all below it', head.treeCost > usage.cost && money(head.treeCost)],
      ...head.budgets.map((budget) => [`Budget “${budget.name}”`, spent(budget)]),
    ].filter(([, value]) => value)
    return dialog((close) => [h('h2', {}, 'Details'), h('dl', { class: 'facts' }, facts.map(([name, value]) => [h('dt', {}, name), h('dd', {}, String(value))])),
      h('div', { class: 'actions' }, h('button', { class: 'button', type: 'button', autofocus: true, onClick: () => close() }, 'Close'))], { label: 'Details' })
  }

  async erase() {
    const { head, busy } = this.fold
    const name = head.title || 'this session'
    if (busy && !(await confirm({ title: 'Delete a session at work?', body: `“${name}” is at work. Deleting it ends what it does.`, yes: 'Delete', danger: true }))) return
    const removal = store.remove(this.id, (error) => complain(error, 'delete it'))
    this.navigate('#/')
    toast('Session deleted', { action: { label: 'Undo', act: removal.undo }, onGone: removal.go })
  }
}

function tailOf(model) {
  return String(model ?? '').split('/').at(-1)
}

function spent({ cost, max_cost: most, tokens, max_tokens: mostTokens, elapsed_seconds: seconds, max_time_seconds: longest }) {
  return [most && `${money(cost) || '$0'} of ${money(most)}`, mostTokens && `${count(tokens)} of ${count(mostTokens)} tokens`, longest && `${Math.round(seconds)} of ${longest} s`].filter(Boolean).join(', ')
}

function bones() {
  const bone = (width) => h('span', { class: 'bone', style: { width } })
  return h('div', { class: 'bones', 'aria-hidden': 'true' }, ['38%', '92%', '86%', '64%', '30%', '88%', '71%'].map((width) => h('div', {}, bone(width))))
}
