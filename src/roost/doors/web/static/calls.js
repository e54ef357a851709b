/** How a tool call looks: a line that sums it up, what it is to do, and what came of it. */

import { changesOf, changesIn, linesOf } from './diff.js'
import { h } from './dom.js'
import { icon } from './icons.js'
import { ansi, loose, short } from './text.js'
import { some } from './words.js'

const FOLD = 14 // lines of output past which the rest is folded
const DIFF = 32
const MOST = 300_000 // characters that are put on the page; a copy has all

const COMMANDS = /^(shell|bash|run_shell_command|exec_command|local_shell|execute|run_background_job|terminal)$/i

/** The command that a call runs in a shell, or null. */
export function commandOf(name, args) {
  if (args === null || typeof args !== 'object' || !(COMMANDS.test(name) || 'cmd' in args)) return null
  const command = args.cmd ?? args.command ?? args.script
  if (Array.isArray(command)) return command.map(String).join(' ').replace(/^(?:\/bin\/)?(?:ba|z)?sh -l?c /, '')
  return typeof command === 'string' ? command : null
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

/** What a call is to do, exactly: the command, the diff, or its arguments. */
export function wanted(name, raw, { whole = false } = {}) {
  const args = loose(raw)
  const command = commandOf(name, args)
  if (command !== null) {
    const rest = Object.entries(args).filter(([key, value]) => !['cmd', 'command', 'script'].includes(key) && value !== '' && value !== null)
    return h('div', { class: 'wanted' },
      h('pre', { class: 'command', tabindex: 0, 'aria-label': 'Command' }, h('span', { class: 'sigil', 'aria-hidden': 'true' }, '$ '), command),
      rest.length > 0 && named(Object.fromEntries(rest)))
  }
  const changes = changesOf(name, args)
  if (changes !== null && changes.length > 0) return h('div', { class: 'wanted' }, diffs(changes, { whole }))
  if (args !== null && typeof args === 'object' && !Array.isArray(args)) {
    return Object.keys(args).length > 0 ? h('div', { class: 'wanted' }, named(args)) : null
  }
  return raw ? h('div', { class: 'wanted' }, output(args === null ? String(raw) : pretty(args))) : null
}

/** Arguments by name. */
function named(args) {
  return h('dl', { class: 'named' }, Object.entries(args).map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, valued(value)))))
}

function valued(value) {
  if (typeof value === 'string') return value.includes('\n') || value.length > 240 ? output(value) : h('span', {}, value || '“”')
  if (value === null || typeof value !== 'object') return h('code', {}, String(value))
  if (Array.isArray(value) && value.every((one) => typeof one === 'string' && one.length < 60)) return h('span', {}, value.join(', '))
  return output(pretty(value))
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

/** Text with a terminal's colours; folded where it is long.  `tail` shows the end rather than the beginning. */
export function output(text, { fold = FOLD, tail = false } = {}) {
  const pre = h('pre', { class: 'output', tabindex: 0 })
  const lines = linesOf(text)
  const long = lines.length > fold + 4 || text.length > fold * 400
  const some_ = () => {
    const part = tail ? lines.slice(-fold).join('\n').slice(-fold * 400) : lines.slice(0, fold).join('\n').slice(0, fold * 400)
    return part
  }
  const paint = (all) => {
    const part = all ? text.slice(0, MOST) : some_()
    pre.replaceChildren(...ansi(part).map((piece) => (piece.class ? h('span', { class: piece.class }, piece.text) : document.createTextNode(piece.text))))
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
      h('span', { class: 'path' }, change.was ? `${change.was} → ${change.path}` : change.path || 'a file'),
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
  if (line.sign === '@') return h('div', { class: 'line gap' }, `⋯ ${line.text}`)
  return h('div', { class: `line ${SIGNS[line.sign]}` },
    h('span', { class: 'sign', 'aria-hidden': line.sign === ' ' ? 'true' : null }, line.sign === '-' ? '−' : line.sign), h('span', { class: 'words' }, line.text || ' '))
}
