/** The list of sessions: live, searched, filtered, each with what can be done to it. */

import { api, part } from './api.js'
import { effect, fill, h, keyed, scope, set, signal, text } from './dom.js'
import { ask, confirm, menu } from './dialog.js'
import { icon } from './icons.js'
import * as store from './store.js'
import { complain, toast, worded } from './toast.js'
import { age, money, some } from './words.js'

const STATES = {
  new: 'not started', queued: 'queued', running: 'running', waiting: 'waiting for you', idle: 'idle', failed: 'failed',
  canceled: 'canceled', completed: 'completed',
}
const FILTERS = { all: 'All', running: 'Running', waiting: 'Waiting', starred: 'Starred' }
const FIRST = 80
const STEP = 120
const BUSY = new Set(['running', 'queued', 'waiting'])

/** What a person calls it. */
export const titled = (row) => row?.title || row?.name || 'Untitled session'

/** Mount the list; `chosen` is a signal with the id of the session that is open. */
export function mountList(root, { chosen }) {
  const [list, end] = scope(() => new List(root, chosen))
  return { unmount: () => { end(); list.leave() } }
}

class List {
  constructor(root, chosen) {
    this.chosen = chosen
    this.query = signal('')
    this.filter = signal('all')
    this.most = signal(FIRST)
    this.open = signal(new Set())
    this.now = signal(Date.now())
    this.clock = setInterval(() => { this.now.value = Date.now() }, 20_000)
    this.build(root)
    effect(() => this.draw())
  }

  build(root) {
    this.search = h('input', {
      class: 'input', type: 'search', placeholder: 'Search sessions', 'aria-label': 'Search sessions', autocomplete: 'off',
      enterKeyHint: 'search', onInput: () => { this.query.value = this.search.value.trim().toLowerCase(); this.most.value = FIRST },
    })
    this.chips = Object.entries(FILTERS).map(([name, label]) => h('button', {
      class: 'chip', type: 'button', data: { filter: name }, onClick: () => { this.filter.value = name; this.most.value = FIRST },
    }, label, ' ', h('span', { class: 'count' })))
    this.items = h('ul', { class: 'rows', onKeydown: arrows })
    this.end = h('div', { class: 'sentinel', 'aria-hidden': 'true' })
    this.empty = h('div', {})
    this.scroll = h('div', { class: 'scroll' }, this.empty, this.items, this.end)
    fill(root,
      h('div', { class: 'find', role: 'search' }, icon('search'), this.search),
      h('div', { class: 'chips', role: 'group', 'aria-label': 'Show' }, this.chips),
      this.scroll)
    this.watch = new IntersectionObserver(([seen]) => { if (seen.isIntersecting) this.grow() }, { root: this.scroll, rootMargin: '600px' })
    this.watch.observe(this.end)
  }

  leave() {
    clearInterval(this.clock)
    this.watch.disconnect()
  }

  grow() {
    if (this.total > this.most.peek()) this.most.value += STEP
  }

  draw() {
    const all = store.rows.value
    this.now.value
    const filter = this.filter.value
    for (const chip of this.chips) chip.setAttribute('aria-pressed', String(chip.dataset.filter === filter))
    if (all === null) return this.blank(store.trouble.value)
    const hidden = store.hidden.value
    const shown = [...all.values()].filter((row) => !hidden.has(row.id))
    this.tally(shown)
    const lines = this.lines(shown, filter, this.query.value)
    this.total = lines.length
    const chosen = this.chosen.value
    keyed(this.items, lines.slice(0, this.most.value), ({ row }) => row.id, (line) => this.make(line, chosen), (node, line) => paint(node, line, chosen))
    if (lines.length) fill(this.empty)
    else this.nothing(shown.length)
  }

  /** Rows in order: what is busy first, in the order of its beginning; then the newest news. */
  lines(all, filter, query) {
    const fits = (row) => (filter === 'all' || (filter === 'running' ? row.state === 'running' || row.state === 'queued'
      : filter === 'waiting' ? row.state === 'waiting' || row.waits > 0 : row.starred)) && (!query || matches(row, query))
    if (filter !== 'all' || query) return all.filter(fits).sort(order).map((row) => ({ row, depth: 0, below: 0 }))
    const known = new Map(all.map((row) => [row.id, row]))
    const children = Map.groupBy ? Map.groupBy(all, (row) => above(row, known)) : grouped(all, (row) => above(row, known))
    const open = this.open.value
    const lines = []
    const add = (row, depth) => {
      const under = children.get(row.id) ?? []
      const unfolded = open.has(row.id)
      lines.push({ row, depth, below: under.length, unfolded, calls: unfolded ? 0 : calls(under, children) })
      if (unfolded) for (const child of under.sort(older)) add(child, depth + 1)
    }
    for (const row of (children.get('') ?? []).sort(order)) add(row, 0)
    return lines
  }

  tally(all) {
    const counts = {
      running: all.filter(({ state }) => state === 'running' || state === 'queued').length,
      waiting: all.filter(({ state, waits }) => state === 'waiting' || waits > 0).length,
    }
    for (const chip of this.chips) text(chip.lastChild, counts[chip.dataset.filter] || '')
  }

  make(line, chosen) {
    const parts = {
      dot: h('span', { class: 'dot' }), title: h('span', { class: 'title', dir: 'auto' }), state: h('span', { class: 'hush' }),
      age: h('time', { class: 'age' }), about: h('span', { class: 'about' }), waits: h('span', { class: 'pill amber' }),
      star: h('span', { class: 'starred', title: 'Starred' }, icon('star'), h('span', { class: 'hush' }, 'starred')),
      cost: h('span', { class: 'cost' }),
    }
    const unfold = h('button', { class: 'unfold', type: 'button', onClick: () => this.toggle(line.row.id) }, icon('forward'), h('span', {}))
    const node = h('li', { class: 'entry-item' },
      h('a', { class: 'entry', href: `#/s/${part(line.row.id)}` },
        parts.dot,
        h('span', { class: 'what' },
          h('span', { class: 'first' }, parts.title, parts.star, parts.age),
          h('span', { class: 'second' }, parts.state, parts.about, parts.waits, parts.cost))),
      unfold,
      h('button', { class: 'tool dots', type: 'button', 'aria-haspopup': 'menu', 'aria-expanded': 'false',
        onClick: (event) => actions(event.currentTarget, store.rows.peek().get(line.row.id)) }, icon('more')))
    node.$ = { ...parts, unfold, link: node.firstChild, dots: node.lastChild }
    paint(node, line, chosen)
    return node
  }

  toggle(id) {
    const open = new Set(this.open.peek())
    open.delete(id) || open.add(id)
    this.open.value = open
  }

  blank(trouble) {
    if (trouble) {
      return fill(this.empty, h('div', { class: 'empty', role: 'alert' }, icon('warn'), h('h2', {}, 'The list did not load'), h('p', {}, worded(trouble)),
        h('button', { class: 'button', type: 'button', onClick: () => store.load() }, icon('refresh'), 'Try again')))
    }
    const bone = (width) => h('span', { class: 'bone', style: { width } })
    return fill(this.empty, h('div', { class: 'bones', 'aria-hidden': 'true' }, ['72%', '54%', '63%', '48%', '70%'].map((width) => h('div', {}, bone(width), bone('38%')))),
      h('p', { class: 'hush', role: 'status' }, 'Loading sessions'))
  }

  nothing(any) {
    if (any && this.query.peek()) {
      return fill(this.empty, h('div', { class: 'empty' }, icon('search'), h('h2', {}, 'Nothing found'), h('p', {}, `No session is called “${this.search.value.trim()}”, nor is its agent, model or folder.`)))
    }
    if (any) {
      const words = { running: ['Nothing runs', 'Sessions that work show up here.'], waiting: ['Nothing waits for you', 'When an agent asks, you find it here and in the inbox.'], starred: ['Nothing starred', 'Star a session from its ⋯ menu to keep it at hand.'] }[this.filter.peek()]
      return fill(this.empty, h('div', { class: 'empty' }, icon(this.filter.peek() === 'starred' ? 'star' : 'check'), h('h2', {}, words[0]), h('p', {}, words[1])))
    }
    return fill(this.empty, h('div', { class: 'empty' }, icon('sessions'), h('h2', {}, 'No sessions yet'), h('p', {}, 'Give an agent something to do, and watch it here.'),
      h('a', { class: 'button primary', href: '#/new' }, icon('new'), 'New session')))
  }
}

function above(row, known) {
  return row.parent_id && row.parent_id !== row.id && known.has(row.parent_id) ? row.parent_id : ''
}

function grouped(all, key) {
  const groups = new Map()
  for (const one of all) groups.set(key(one), [...(groups.get(key(one)) ?? []), one])
  return groups
}

/** How many questions wait below a row that is folded. */
function calls(under, children) {
  return under.reduce((sum, row) => sum + (row.waits || 0) + calls(children.get(row.id) ?? [], children), 0)
}

const begun = (row) => Date.parse(row.created_at) || 0
const moved = (row) => Date.parse(row.updated_at || row.created_at) || 0
const older = (a, b) => begun(a) - begun(b)
const order = (a, b) => BUSY.has(b.state) - BUSY.has(a.state) || (BUSY.has(a.state) ? begun(b) - begun(a) : moved(b) - moved(a))

function matches(row, query) {
  return [titled(row), row.agent, row.source, row.provider, row.model, row.host, row.working_dir, ...(row.tags ?? [])].some((it) => it?.toLowerCase().includes(query)) || row.id.startsWith(query)
}

function paint(node, { row, depth, below, unfolded, calls = 0 }, chosen) {
  const { $ } = node
  const waiting = (row.waits || 0) + calls
  set(node, { data: { depth: Math.min(depth, 4), state: row.state } })
  $.dot.dataset.state = row.state === 'running' && row.waits ? 'waiting' : row.state
  text($.title, titled(row))
  text($.state, `${STATES[row.state] ?? row.state}. `)
  text($.age, age(row.updated_at || row.created_at))
  $.age.dateTime = row.updated_at || row.created_at
  text($.about, about(row))
  $.about.classList.toggle('bad', row.state === 'failed')
  $.waits.hidden = !waiting
  text($.waits, waiting ? `${waiting} waiting` : '')
  text($.cost, money(row.total_cost ?? row.cost))
  $.star.hidden = !row.starred
  $.unfold.hidden = !below
  text($.unfold.lastChild, below || '')
  $.unfold.setAttribute('aria-expanded', String(Boolean(unfolded)))
  $.unfold.setAttribute('aria-label', `${some(below, 'session')} under ${titled(row)}`)
  $.dots.setAttribute('aria-label', `Actions for ${titled(row)}`)
  set($.link, { 'aria-current': row.id === chosen ? 'page' : null, title: row.working_dir || null })
}

function about(row) {
  if (row.state === 'failed' && row.error) return row.error
  const here = store.server.value?.host
  return [who(row), model(row), row.host && here && row.host !== here ? row.host : '', row.state === 'queued' ? 'queued' : row.state === 'new' ? 'not started' : ''].filter(Boolean).join(' · ')
}

/** Who plays it: its agent file, and which of the file's agents where that is not the first. */
function who({ agent = '', source = '', provider = '' }) {
  const file = source === provider ? '' : source.replace(/^.*\//, '').replace(/\.ya?ml$/, '')
  const name = agent === provider || (file && agent === 'root') ? '' : agent
  return [...new Set([file, name])].filter(Boolean).join(' · ')
}

function model(row) {
  const name = row.model?.includes('/') ? row.model.slice(row.model.indexOf('/') + 1) : row.model
  if (!name) return row.provider
  return row.provider ? `${row.provider}/${name}` : name
}

function arrows(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
  if (!step) return
  const links = [...event.currentTarget.querySelectorAll('.entry')]
  const at = links.indexOf(event.target.closest('.entry-item')?.querySelector('.entry'))
  links[at + step]?.focus()
  event.preventDefault()
}

// -- what can be done to a session -------------------------------------------------------------

/** The menu of a session. */
export function actions(anchor, row) {
  const path = `/api/sessions/${part(row.id)}`
  menu(anchor, [
    { label: 'Rename', icon: 'pen', act: () => rename(row, path) },
    { label: row.starred ? 'Remove star' : 'Star', icon: 'star', act: () => star(row, path) },
    BUSY.has(row.state) && { label: 'Cancel the turn', icon: 'stop', act: () => cancel(path) },
    { label: 'Copy link', icon: 'link', act: () => copy(`${location.origin}/#/s/${part(row.id)}`) },
    { label: 'Delete', icon: 'trash', danger: true, act: () => erase(row) },
  ], { label: `Actions for ${titled(row)}` })
}

async function rename(row, path) {
  const title = await ask({ title: 'Rename session', label: 'Title', value: titled(row), max: 200 })
  if (!title || title === row.title) return
  try {
    await api.patch(`${path}/title`, { title })
    store.guess(row.id, { title })
  } catch (error) {
    complain(error, 'rename it')
  }
}

async function star(row, path) {
  store.guess(row.id, { starred: !row.starred })
  try {
    await api.patch(`${path}/starred`, { starred: !row.starred })
  } catch (error) {
    store.guess(row.id, { starred: row.starred })
    complain(error, 'star it')
  }
}

async function cancel(path) {
  try {
    await api.post(`${path}/cancel`)
  } catch (error) {
    complain(error, 'cancel it')
  }
}

async function copy(link) {
  try {
    await navigator.clipboard.writeText(link)
    toast('Link copied')
  } catch {
    toast(link)
  }
}

async function erase(row) {
  if (BUSY.has(row.state)) {
    const sure = await confirm({ title: 'Delete a session at work?', body: `“${titled(row)}” is ${STATES[row.state]}. Deleting it ends what it does.`, yes: 'Delete', danger: true })
    if (!sure) return
  }
  const link = [...document.querySelectorAll('.entry')].find(({ hash }) => hash === `#/s/${part(row.id)}`)
  const item = link?.closest('.entry-item')
  const next = item?.nextElementSibling ?? item?.previousElementSibling
  const removal = store.remove(row.id, (error) => complain(error, 'delete it'))
  if (item?.contains(document.activeElement) || document.activeElement === document.body) next?.querySelector('.entry').focus({ preventScroll: true })
  if (location.hash === `#/s/${part(row.id)}`) location.hash = '#/'
  toast('Session deleted', { action: { label: 'Undo', act: removal.undo }, onGone: removal.go })
}
