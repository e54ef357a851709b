/** How a tool call looks: a line that sums it up, what it is to do, and what came of it. */

import { changesIn, changesOf, changing, linesOf } from './diff.js'
import { h } from './dom.js'
import { icon } from './icons.js'
import { ansi, loose, revealed, short } from './text.js'
import { some } from './words.js'

const FOLD = 14 // lines of output past which the rest is folded
const DIFF = 32
const MOST = 300_000 // characters that are put on the page; a copy has all

const COMMANDS = /^(shell|bash|run_shell_command|exec_command|local_shell|execute|run_background_job|terminal)$/i

/** Whether a tool of this name is a shell, by all that is known of it. */
export function isShell(name) {
  return COMMANDS.test(name)
}

/** Which argument is the command that a call runs; undefined where none is. */
function commandIn(name, args) {
  if (args === null || typeof args !== 'object' || !(isShell(name) || 'cmd' in args)) return undefined
  return ['cmd', 'command', 'script'].find((key) => typeof args[key] === 'string' || Array.isArray(args[key]))
}

/** The command that a call runs in a shell, or null. */
export function commandOf(name, args) {
  const command = args?.[commandIn(name, args)]
  if (Array.isArray(command)) return command.map(quoted).join(' ').replace(/^(?:\/bin\/)?(?:ba|z)?sh -l?c '((?:[^'\\])*)'$/, '$1')
  return command ?? null
}

/** A word as a shell takes it for one. */
function quoted(word) {
  const text = typeof word === 'string' ? word : JSON.stringify(word)
  return /^[\w./:=@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}

/**
 * A call in a line.
 * @returns {{icon: string, verb: string, detail: string, plus?: number, minus?: number, code: boolean}}
 */
export function summed(name, raw, definition = null) {
  const args = loose(raw)
  const command = commandOf(name, args)
  if (command !== null) return { icon: 'terminal', verb: '$', detail: short(command, 160), code: true }
  const changes = changesOf(name, args)
  if (changes !== null && changes.length > 0) {
    const [first] = changes
    const verb = changes.length > 1 ? 'Change' : { new: 'Write', delete: 'Delete', edit: 'Edit' }[first.how]
    const detail = changes.length > 1 ? some(changes.length, 'file') : first.path
    const sum = (field) => changes.reduce((all, one) => all + one[field], 0)
    return { icon: 'pen', verb, detail, plus: sum('plus'), minus: sum('minus'), code: true }
  }
  const title = definition?.annotations?.title || spoken(name)
  return { icon: ICONS.find(([known]) => known.test(name))?.[1] ?? 'gear', verb: title, detail: telling(args), code: false }
}

const ICONS = [[/^(read|view|list|directory|glob|open)/i, 'file'], [/search|grep|find/i, 'search'], [/fetch|web|http|browse/i, 'link'], [/task|agent|handoff|delegate/i, 'branch'], [/todo|plan/i, 'check'], [/think/i, 'info']]

/** `read_file` as `Read file`; the server's part of `mcp__server__tool` behind it. */
function spoken(name) {
  const parts = String(name || 'tool').split('__')
  const words = (parts.at(-1) || name).replace(/([a-z])([A-Z])/g, '$1 $2').replace(/[_-]+/g, ' ').trim().toLowerCase()
  return words.charAt(0).toUpperCase() + words.slice(1)
}

const TELLING = ['path', 'file_path', 'filePath', 'paths', 'pattern', 'query', 'url', 'urls', 'task', 'title', 'name', 'agent', 'message', 'thought', 'prompt', 'description']

/** The argument that says most. */
function telling(args) {
  if (args === null || typeof args !== 'object') return ''
  const name = TELLING.find((known) => args[known] !== undefined && args[known] !== '') ?? Object.keys(args)[0]
  const value = name === undefined ? '' : args[name]
  if (Array.isArray(value)) return short(value.map((one) => (typeof one === 'object' ? JSON.stringify(one) : one)).join(', '))
  return short(typeof value === 'object' && value !== null ? JSON.stringify(value) : value)
}

/** What a call is to do, exactly: the command, the diff, and all arguments that these do not show. */
export function wanted(name, raw, { whole = false } = {}) {
  const args = loose(raw)
  const command = commandOf(name, args)
  if (command !== null) {
    return h('div', { class: 'wanted' },
      h('pre', { class: 'command', tabindex: 0, 'aria-label': 'Command' }, h('span', { class: 'sigil', 'aria-hidden': 'true' }, '$ '), laidOpen(command)),
      rest(args, [commandIn(name, args)]))
  }
  const found = changing(name, args)
  if (found !== null && found.changes.length > 0) return h('div', { class: 'wanted' }, diffs(found.changes, { whole }), rest(args, found.shown))
  if (args !== null && typeof args === 'object' && !Array.isArray(args)) {
    return Object.keys(args).length > 0 ? h('div', { class: 'wanted' }, named(args)) : null
  }
  return raw ? h('div', { class: 'wanted' }, output(args === null ? String(raw) : pretty(args), { exact: true })) : null
}

/** The arguments but for these. */
function rest(args, shown) {
  const left = Object.entries(args).filter(([name, value]) => !shown.includes(name) && value !== '' && value !== null)
  return left.length > 0 && named(Object.fromEntries(left))
}

/** Arguments by name. */
function named(args) {
  return h('dl', { class: 'named' }, Object.entries(args).map(([name, value]) => h('div', {}, h('dt', {}, laidOpen(name)), h('dd', {}, valued(value)))))
}

function valued(value) {
  if (typeof value === 'string') return value.includes('\n') || value.length > 240 ? output(value, { exact: true }) : h('span', {}, value ? laidOpen(value) : '“”')
  if (value === null || typeof value !== 'object') return h('code', {}, String(value))
  if (Array.isArray(value) && value.every((one) => typeof one === 'string' && one.length < 60 && !one.includes(','))) return h('span', {}, laidOpen(value.join(', ')))
  return output(pretty(value), { exact: true })
}

/** A text in which nothing goes unseen. */
function laidOpen(text) {
  return revealed(text).map(({ text: part, odd }) => (odd ? h('span', { class: 'odd', title: 'A character that is not seen' }, part) : document.createTextNode(part)))
}

function pretty(value) {
  return JSON.stringify(value, null, 2)
}

/** What came of a call. */
export function came(result, name = '') {
  const text = String(result.output ?? '')
  const changes = result.isError ? null : changesIn(text)
  const args = /^\s*[{[]/.test(text) && text.length < 100_000 ? loose(text) : null
  let shown = null
  if (changes !== null && changes.some(({ lines }) => lines.length > 0)) shown = diffs(changes)
  else if (text !== '') shown = output(args !== null && typeof args === 'object' && isWhole(text) ? pretty(args) : text, { name })
  const pictures = (result.images ?? []).filter((url) => /^(data:image\/(png|jpe?g|gif|webp)[;,]|blob:)/i.test(url))
  if (shown === null && pictures.length === 0) return h('p', { class: 'nothing' }, 'No output')
  return h('div', { class: 'came' }, shown, pictures.map((url) => h('img', { class: 'picture', src: url, alt: `Picture returned by ${name || 'the tool'}`, loading: 'lazy' })))
}

function isWhole(text) {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** Text with a terminal's colours, or `exact`; folded where it is long.  `tail` shows the end rather than the beginning. */
export function output(text, { fold = FOLD, tail = false, exact = false } = {}) {
  const pre = h('pre', { class: 'output', tabindex: 0 })
  const lines = linesOf(text)
  const long = lines.length > fold + 4 || text.length > fold * 400
  const some_ = () => {
    const part = tail ? lines.slice(-fold).join('\n').slice(-fold * 400) : lines.slice(0, fold).join('\n').slice(0, fold * 400)
    return part
  }
  const paint = (all) => {
    const part = all ? text.slice(0, MOST) : some_()
    if (exact) pre.replaceChildren(...laidOpen(part))
    else pre.replaceChildren(...ansi(part).map((piece) => (piece.class ? h('span', { class: piece.class }, piece.text) : document.createTextNode(piece.text))))
    if (all && text.length > MOST) pre.append(h('span', { class: 'odd' }, `… and ${(text.length - MOST).toLocaleString()} more characters`))
  }
  paint(!long)
  const box = h('div', { class: ['outputs', long && 'folded'] }, pre)
  if (long) box.append(unfolder(lines.length > fold ? some(lines.length, 'line') : `${Math.round(text.length / 1000)} kB`, (open) => {
    box.classList.toggle('folded', !open)
    paint(open)
  }))
  box.append(copier(() => text))
  return box
}

/** A button that shows all, and then less again. */
function unfolder(size, act) {
  let open = false
  const button = h('button', { class: 'opener', type: 'button', 'aria-expanded': 'false', onClick: () => {
    open = !open
    act(open)
    button.setAttribute('aria-expanded', String(open))
    button.textContent = open ? 'Show less' : `Show all ${size}`
  } }, `Show all ${size}`)
  return button
}

/** A button that copies; it says when it has. */
export function copier(text, label = 'Copy') {
  const button = h('button', { class: 'copy', type: 'button', 'aria-label': label, title: label, onClick: async () => {
    const done = await copy(text())
    button.replaceChildren(icon(done ? 'check' : 'warn'))
    button.setAttribute('aria-label', done ? 'Copied' : 'Copying is not allowed here')
    setTimeout(() => {
      button.replaceChildren(icon('copy'))
      button.setAttribute('aria-label', label)
    }, 1600)
  } }, icon('copy'))
  return button
}

/** Put text on the clipboard; without TLS browsers have an old way only. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    const area = h('textarea', { class: 'hush', value: text, 'aria-hidden': 'true' })
    document.body.append(area)
    area.select()
    const done = document.execCommand('copy')
    area.remove()
    return done
  }
}

/** Changes to files. */
export function diffs(changes, { whole = false } = {}) {
  return h('div', { class: 'diffs' }, changes.map((change) => diff(change, whole)))
}

const HOW = { new: 'new', delete: 'deleted', edit: '' }

function diff(change, whole) {
  const { lines } = change
  const table = h('div', { class: 'lines', role: 'group', tabindex: 0, 'aria-label': `Changes to ${change.path || 'a file'}` })
  const paint = (all) => table.replaceChildren(...(all ? lines : lines.slice(0, DIFF)).map(lined))
  const long = !whole && lines.length > DIFF + 6
  paint(!long)
  return h('figure', { class: 'diff' },
    h('figcaption', {},
      h('span', { class: 'path' }, laidOpen(change.was ? `${change.was} → ${change.path}` : change.path || 'a file')),
      HOW[change.how] && h('span', { class: 'pill' }, HOW[change.how]),
      counts(change)),
    lines.length > 0 && table,
    long && unfolder(some(lines.length, 'line'), paint))
}

/** How many lines come and go. */
export function counts({ plus, minus }) {
  return h('span', { class: 'counts', 'aria-label': `${some(plus, 'line')} added, ${minus} removed` },
    plus > 0 && h('span', { class: 'plus' }, `+${plus}`), minus > 0 && h('span', { class: 'minus' }, `−${minus}`))
}

const SIGNS = { '+': 'plus', '-': 'minus', '@': 'gap', ' ': 'same' }

function lined(line) {
  if (line.sign === '@') return h('div', { class: 'line gap' }, ['⋯ ', laidOpen(line.text)])
  return h('div', { class: `line ${SIGNS[line.sign]}` },
    h('span', { class: 'sign', 'aria-hidden': line.sign === ' ' ? 'true' : null }, line.sign === '-' ? '−' : line.sign), h('span', { class: 'words' }, line.text ? laidOpen(line.text) : ' '))
}
