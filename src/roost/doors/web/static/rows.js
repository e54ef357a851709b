/** The rows of a transcript as nodes: each is made once, and told of news. */

import { came, copier, counts, output, summed, wanted } from './calls.js'
import { h, set, text } from './dom.js'
import { told } from './forms.js'
import { icon } from './icons.js'
import { Prose, prose } from './prose.js'
import { short } from './text.js'
import { count, money, some, span, when } from './words.js'

const LONG = 1_400 // characters of a person's message past which it is folded

/**
 * The node of a row; `node.$show(row, place)` brings it up to date.
 *
 * `place` is `{depth, speaker, last, memory, act}`: how deep it is nested, the name to show where another agent speaks, whether
 * it is the last row, what is open and closed (kept while the row is out of sight), and what its buttons do.
 */
export function rowNode(row, place) {
  const article = h('article', { class: ['piece', `k-${row.kind}`], data: { key: row.key } })
  const show = MAKERS[row.kind]?.(article, row, place) ?? (() => {})
  article.$show = (now, where) => {
    if (where.depth > 0) article.dataset.depth = Math.min(where.depth, 4)
    try {
      show(now, where)
    } catch (error) {
      reportError(error) // a row that can't be shown hides no other
    }
  }
  article.$show(row, place)
  return article
}

/** What can be found of a row by searching. */
export function wordsOf(row) {
  switch (row.kind) {
    case 'user': case 'note': case 'summary': case 'plan': case 'stderr': case 'status': return row.text ?? ''
    case 'answer': return `${row.reasoning}\n${row.text}`
    case 'call': return `${row.name}\n${row.args}\n${row.result?.output ?? row.output ?? ''}`
    default: return ''
  }
}

const button = (label, symbol, act) => h('button', { class: 'tool small', type: 'button', 'aria-label': label, title: label, onClick: act }, icon(symbol))

// -- people -----------------------------------------------------------------------------------------------------------

const VIA = { steer: 'steered', followup: 'follow-up' }

function user(article, row, { memory, act, depth }) {
  const words = h('div', { class: 'words', dir: 'auto' })
  const fold = h('button', { class: 'opener', type: 'button', hidden: true, onClick: () => { memory.open = !memory.open; paint(row) } })
  const parts = h('div', { class: 'pictures' })
  const mark = h('span', { class: 'via' })
  const tools = h('div', { class: 'tools' }, copier(() => row.text, 'Copy message'), depth === 0 && button('Fork from here: a new session with all before this message', 'branch', () => act.fork(row)))
  article.setAttribute('aria-label', depth === 0 ? 'You' : 'Task')
  article.append(tools, h('div', { class: 'bubble' }, mark, parts, words, fold))
  touching(article)
  function paint(now) {
    row = now
    const long = now.text.length > LONG || now.text.split('\n', 22).length > 20
    text(words, long && !memory.open ? clipped(now.text) : now.text)
    fold.hidden = !long
    text(fold, !long ? '' : memory.open ? 'Show less' : 'Show all')
    fold.setAttribute('aria-expanded', String(Boolean(memory.open)))
    mark.hidden = !VIA[now.via]
    text(mark, VIA[now.via] ?? '')
    if (parts.childElementCount === 0) parts.append(...pictured(now.parts))
    parts.hidden = parts.childElementCount === 0
    words.hidden = now.text === ''
  }
  return paint
}

function clipped(words) {
  return `${words.split('\n').slice(0, 14).join('\n').slice(0, LONG)}…`
}

function pictured(parts) {
  return (parts ?? []).flatMap((part) => {
    const url = part.image_url?.url
    if (url && /^data:image\//i.test(url)) return [h('img', { src: url, alt: 'Attached picture', loading: 'lazy' })]
    if (url) return [h('span', { class: 'pill' }, icon('attach', 'tiny'), short(url, 60))]
    if (part.file) return [h('span', { class: 'pill' }, icon('file', 'tiny'), short(part.file.path || part.file.file_id, 60))]
    return []
  })
}

// -- answers ------------------------------------------------------------------------------------------------------------

function answer(article, row, { memory }) {
  const speaker = h('div', { class: 'speaker' })
  const thinking = h('details', { class: 'thinking', open: Boolean(memory.thinking), onToggle: () => { memory.thinking = thinking.open; think() } },
    h('summary', {}, h('span', { class: 'label' }), h('span', { class: 'gist' })))
  const thoughts = new Prose()
  const body = new Prose()
  const foot = h('div', { class: 'tools' }, copier(() => row.text, 'Copy answer'), h('span', { class: 'about' }))
  thinking.append(thoughts.element)
  article.append(speaker, thinking, body.element, foot)
  touching(article)
  function think() {
    if (thinking.open) thoughts.show(row.reasoning, { growing: row.streaming })
  }
  function gist(busy) {
    const [label, words] = thinking.firstChild.children
    text(label, busy ? 'Thinking' : 'Thought')
    label.classList.toggle('busy', busy)
    text(words, busy ? short(row.reasoning.slice(-300).split('\n').findLast((line) => line.trim() !== '') ?? '', 90) : some(wordCount(row.reasoning), 'word'))
    think()
  }
  return (now, place) => {
    row = now
    const { streaming } = now
    text(speaker, place.speaker)
    speaker.hidden = !place.speaker
    article.classList.toggle('streaming', streaming)
    article.classList.toggle('final', Boolean(place.final))
    thinking.hidden = now.reasoning === ''
    const busy = streaming && now.text === ''
    if (now.reasoning !== '') gist(busy)
    body.show(now.text, { growing: streaming })
    body.element.hidden = now.text === ''
    foot.hidden = streaming || now.text === ''
    text(foot.lastChild, about(now))
    article.setAttribute('aria-label', now.agent ? `Answer of ${now.agent}` : 'Answer')
    if (!streaming && now.partial) article.classList.add('partial')
  }
}

function wordCount(words) {
  return words.trim() === '' ? 0 : words.trim().split(/\s+/).length
}

function about({ model, usage, cost, partial, at }) {
  const tokens = usage?.output_tokens
  return [partial && 'interrupted', String(model ?? '').split('/').at(-1), tokens > 0 && `${count(tokens)} tokens`, cost > 0 && money(cost), at && clock(at)].filter(Boolean).join(' · ')
}

const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' })

/** The time of day, and the day where it is another one. */
function clock(at) {
  const date = new Date(at)
  return date.toDateString() === new Date().toDateString() ? TIME.format(date) : when(at)
}

/** Where nothing can hover, a tap on a message shows what can be done with it. */
function touching(article) {
  article.addEventListener('click', ({ target }) => {
    if (target.closest('a, button, summary, input, pre') || !matchMedia('(hover: none)').matches || String(getSelection()) !== '') return
    const on = !article.classList.contains('touched')
    for (const other of article.parentElement.querySelectorAll('.touched')) other.classList.remove('touched')
    article.classList.toggle('touched', on)
  })
}

// -- calls --------------------------------------------------------------------------------------------------------------

const STATES = {
  draft: 'is being written', pending: 'is to run', waiting: 'waits for you', running: 'runs', done: 'is done', failed: 'failed', rejected: 'was rejected', lost: 'was cut off',
}
const OPEN = new Set(['failed'])

function call(article, row, { memory, act }) {
  const sign = h('span', { class: 'sign', 'aria-hidden': 'true' })
  const verb = h('span', { class: 'verb' })
  const detail = h('span', { class: 'detail' })
  const more = h('span', { class: 'more' })
  const state = h('span', { class: 'state' })
  const unseen = h('span', { class: 'hush' })
  const head = h('button', { class: 'head', type: 'button', onClick: () => { memory.open = !open(); memory.painted = null; paint(row) } }, sign, verb, detail, more, state, unseen, icon('forward', 'chevron'))
  const tail = h('div', { class: 'tail', hidden: true })
  const body = h('div', { class: 'body', hidden: true })
  article.append(head, tail, body)
  let symbol = ''
  const shows = (now) => {
    const sum = summed(now.name, now.args, now.definition)
    return sum.plus !== undefined && !now.wait && now.state !== 'rejected' && now.state !== 'lost'
  }
  const open = () => memory.open ?? (OPEN.has(row.state) || shows(row))
  function paint(now, place) {
    row = now
    const sum = summed(now.name, now.args, now.definition)
    if (sum.icon !== symbol) sign.replaceChildren(icon(symbol = sum.icon))
    text(verb, sum.verb)
    text(detail, sum.detail)
    detail.classList.toggle('mono', sum.code)
    more.replaceChildren(...(sum.plus === undefined ? [] : [counts(sum)]))
    article.dataset.state = now.wait ? 'waiting' : now.state
    text(state, label(now))
    head.setAttribute('aria-expanded', String(open()))
    text(unseen, state.textContent ? '' : STATES[now.state] ?? '')
    running(now)
    body.hidden = !open()
    if (open()) inside(now)
  }
  /** The newest lines of what a tool prints, while it runs. */
  function running(now) {
    const shown = now.state === 'running' && now.output !== '' && !open()
    tail.hidden = !shown
    if (shown) tail.replaceChildren(output(now.output, { fold: 6, tail: true }))
    else tail.replaceChildren()
  }
  function inside(now) {
    const print = `${now.args.length}/${now.state}/${now.output.length}/${now.result !== null}/${now.answered?.action ?? ''}/${now.wait}`
    if (memory.painted === print && body.childElementCount > 0) return
    memory.painted = print
    body.replaceChildren(...[
      now.changed && h('p', { class: 'judged' }, 'A hook has changed what the model asked for.'),
      now.blocked && h('p', { class: 'judged' }, `A hook refused it: ${now.blocked}`),
      now.answered && h('p', { class: 'judged' }, told(now.answered)),
      wanted(now.name, now.args),
      now.result !== null && isNews(now) ? came(now.result, now.name) : null,
      now.result === null && now.output !== '' ? output(now.output, { tail: true }) : null,
      now.state === 'lost' && now.result === null ? h('p', { class: 'judged' }, 'It was cut off; nobody knows what came of it.') : null,
      now.wait && h('button', { class: 'button', type: 'button', onClick: () => act.answer(now.wait) }, 'Answer'),
    ].filter(Boolean))
  }
  return paint
}

/** A result that says no more than that it went well is not worth its place under a diff. */
function isNews({ result, name, args }) {
  if (result.isError || (result.images ?? []).length > 0) return true
  return summed(name, args).plus === undefined || result.output.includes('\n@@')
}

function label({ state, started, ended, args, wait }) {
  if (wait) return 'waits for you'
  if (state === 'done') {
    const took = typeof started === 'string' && ended ? (Date.parse(ended) - Date.parse(started)) / 1000 : 0
    return took >= 1 ? span(took) : ''
  }
  if (state === 'draft') return args.length > 400 ? `${count(args.length)} characters` : ''
  return { waiting: 'waits for you', failed: 'failed', rejected: 'rejected', lost: 'cut off', running: '' }[state] ?? ''
}

// -- agents within ------------------------------------------------------------------------------------------------------

const WORK = { running: 'works', done: 'done', failed: 'failed', canceled: 'canceled' }

function sub(article, row, { act }) {
  const name = h('span', { class: 'verb' })
  const title = h('span', { class: 'detail' })
  const state = h('span', { class: 'state' })
  const head = h('button', { class: 'head', type: 'button', onClick: () => act.fold(row) }, h('span', { class: 'sign', 'aria-hidden': 'true' }, icon('branch')), name, title, state, icon('forward', 'chevron'))
  article.append(head)
  return (now, { thread, folded, waits }) => {
    row = now
    const steps = thread.rows.filter(({ kind }) => kind === 'call').length
    const word = waits ? 'waits for you' : WORK[thread.state] ?? ''
    text(name, thread.agent || 'Agent')
    text(title, short(thread.title || firstWords(thread), 140))
    text(state, [word, steps > 0 && some(steps, 'call'), money(thread.cost ?? 0)].filter(Boolean).join(' · '))
    article.dataset.state = waits ? 'waiting' : thread.state
    head.setAttribute('aria-expanded', String(!folded))
  }
}

function firstWords(thread) {
  return thread.rows.find(({ kind }) => kind === 'user')?.text ?? ''
}

// -- the rest -----------------------------------------------------------------------------------------------------------

const SIGNS = { info: 'info', warn: 'warn', error: 'warn' }

function note(article, row) {
  const words = h('div', { class: 'words' })
  const code = h('code', { class: 'code' })
  article.append(icon(SIGNS[row.level] ?? 'info'), words, code)
  if (row.level === 'error') article.setAttribute('role', 'alert')
  return (now) => {
    article.dataset.level = now.level
    text(words, now.text)
    text(code, now.code ?? '')
    code.hidden = !now.code
  }
}

function divider(words) {
  return (article) => {
    const line = h('span', {})
    article.append(line)
    return (now) => {
      const [label, busy] = words(now)
      text(line, label)
      line.classList.toggle('busy', busy)
    }
  }
}

const compaction = divider(({ status, outcome }) => {
  if (status === 'started') return ['Summing up the conversation', true]
  return [{ applied: 'The conversation was summed up', skipped: 'There was nothing to sum up', failed: 'The conversation could not be summed up' }[outcome] ?? 'The conversation was summed up', false]
})
const handover = divider(({ from, to }) => [from ? `${from} hands over to ${to}` : `${to} takes over`, false])

function folding(title, { open = false } = {}) {
  return (article, row, { memory }) => {
    const box = h('details', { open: memory.open ?? open, onToggle: () => { memory.open = box.open; fill() } }, h('summary', {}, title))
    article.append(box)
    let shown = null
    function fill() {
      if (!box.open || shown === row.text) return
      shown = row.text
      while (box.childNodes.length > 1) box.lastChild.remove()
      box.append(row.kind === 'stderr' ? output(row.text) : prose(row.text))
    }
    return (now) => {
      row = now
      fill()
    }
  }
}

function status(article, row, { memory }) {
  const line = h('button', { class: 'line', type: 'button', onClick: () => { memory.open = !memory.open; paint(row) } })
  const all = h('ul', { hidden: true })
  article.append(line, all)
  function paint(now) {
    row = now
    text(line, now.all.length > 1 ? `${short(now.text, 160)} (${now.all.length})` : short(now.text, 160))
    line.disabled = now.all.length < 2 && now.text.length < 160
    set(line, { 'aria-expanded': line.disabled ? null : String(Boolean(memory.open)) })
    all.hidden = !memory.open
    if (memory.open) all.replaceChildren(...now.all.map((one) => h('li', {}, one)))
  }
  return paint
}

const MAKERS = {
  user, answer, call, sub, note, compaction, handover, status,
  summary: folding('Summary of what went before'), plan: folding('Plan', { open: true }), stderr: folding('Errors that the CLI printed'),
}
