/** Markdown as models write it, to a tree of plain values.  Any text is taken, none fails, and time grows with length alone. */

import { inlines } from './inlines.js'

const DEEPEST = 10

/**
 * @typedef {{kind: 'paragraph', inline: object[]} | {kind: 'heading', level: number, inline: object[]} |
 *   {kind: 'code', lang: string, text: string, closed: boolean} | {kind: 'quote', blocks: Block[]} | {kind: 'rule'} |
 *   {kind: 'list', ordered: boolean, start: number, tight: boolean, items: {task: boolean|null, blocks: Block[], raw: string}[]} |
 *   {kind: 'table', align: string[], head: object[][], rows: object[][][], raws: string[]}} Block
 */

/** The blocks of a text; each knows the line at which it begins. */
export function parse(text) {
  return blocks(String(text).replace(/\r\n?/g, '\n').replace(/\0/g, '\ufffd').split('\n'), 0)
}

const RULE = /^ {0,3}(?:(?:\* *){3,}|(?:- *){3,}|(?:_ *){3,})$/
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]+(.*))?$/
const FENCE = /^( {0,3})(`{3,}|~{3,})([^\n]*)$/
const QUOTE = /^ {0,3}> ?/
const ITEM = /^( {0,3})([-+*]|\d{1,9}[.)])(?:([ \t]+)(.*))?$/
const TABLE = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/
const LONGEST = 2_000 // characters of a line that is looked at as a rule or a table's

function blocks(lines, depth) {
  const found = []
  let at = 0
  while (at < lines.length) {
    if (blank(lines[at])) {
      at += 1
      continue
    }
    const [block, next] = one(lines, at, depth)
    block.line = at
    found.push(block)
    at = next
  }
  return found
}

/** The block that begins at a line, and the line behind it. */
function one(lines, at, depth) {
  const line = lines[at]
  const fence = fenceOf(line)
  if (fence !== null) return fenced(lines, at, fence)
  const heading = HEADING.exec(line)
  if (heading) {
    return [{ kind: 'heading', level: heading[1].length, inline: inlines(titled(heading[2] ?? '')) }, at + 1]
  }
  if (isRule(line)) return [{ kind: 'rule' }, at + 1]
  if (depth < DEEPEST && QUOTE.test(line)) return quoted(lines, at, depth)
  if (depth < DEEPEST && ITEM.test(line)) return listed(lines, at, depth)
  if (/^(?: {4}|\t)/.test(line)) return indented(lines, at)
  if (isTable(lines, at)) return tabled(lines, at)
  return paragraph(lines, at, depth)
}

/** A heading's words, without the signs at its end. */
function titled(given) {
  const words = given.trim()
  let end = words.length
  while (end > 0 && words[end - 1] === '#') end -= 1
  return end === 0 ? '' : /\s/.test(words[end - 1]) ? words.slice(0, end).trimEnd() : words
}

function blank(line) {
  return line.trim() === ''
}

function isRule(line) {
  return line.length < LONGEST && RULE.test(line.replace(/\t/g, ' ').trimEnd())
}

/** A fence of back quotes has none in its words. */
function fenceOf(line) {
  const found = FENCE.exec(line)
  if (found === null || (found[2][0] === '`' && found[3].includes('`'))) return null
  return { indent: found[1].length, mark: found[2], words: found[3].trim() }
}

function fenced(lines, from, { indent, mark, words }) {
  const inside = []
  let at = from + 1
  let closed = false
  for (; at < lines.length && !closed; at++) {
    const end = FENCE.exec(lines[at])
    closed = end !== null && end[2][0] === mark[0] && end[2].length >= mark.length && end[3].trim() === ''
    if (!closed) inside.push(indent > 0 ? lines[at].replace(new RegExp(`^ {0,${indent}}`), '') : lines[at])
  }
  const lang = words.split(/\s/)[0].replace(/[{}]/g, '').replace(/^\./, '').slice(0, 40)
  return [{ kind: 'code', lang, text: inside.join('\n'), closed }, at]
}

function indented(lines, from) {
  const inside = []
  let at = from
  for (; at < lines.length && (blank(lines[at]) || /^(?: {4}|\t)/.test(lines[at])); at++) inside.push(lines[at].replace(/^(?: {4}|\t)/, ''))
  while (inside.length > 0 && blank(inside.at(-1))) inside.pop()
  return [{ kind: 'code', lang: '', text: inside.join('\n'), closed: true }, at]
}

/** Whether a line ends a paragraph by beginning something else. */
function interrupts(line) {
  if (fenceOf(line) !== null || HEADING.test(line) || isRule(line) || QUOTE.test(line)) return true
  const item = ITEM.exec(line)
  return item !== null && Boolean(item[4]?.trim()) && (/^[-+*]$/.test(item[2]) || /^1[.)]$/.test(item[2]))
}

function quoted(lines, from, depth) {
  const inside = []
  let at = from
  for (; at < lines.length; at++) {
    const line = lines[at]
    if (QUOTE.test(line)) inside.push(line.replace(QUOTE, ''))
    else if (blank(line) || interrupts(line) || blank(inside.at(-1))) break
    else inside.push(line) // a lazy line of its paragraph
  }
  return [{ kind: 'quote', blocks: blocks(inside, depth + 1) }, at]
}

// -- lists ------------------------------------------------------------------------------------------------------------

function typeOf(marker) {
  return /\d/.test(marker) ? marker.at(-1) : marker
}

function listed(lines, from, depth) {
  const first = ITEM.exec(lines[from])
  const type = typeOf(first[2])
  const items = []
  let at = from
  let loose = false
  while (at < lines.length) {
    const marker = ITEM.exec(lines[at])
    if (marker === null || typeOf(marker[2]) !== type || (items.length > 0 && isRule(lines[at]))) break
    const [item, next, gap] = itemAt(lines, at, marker, depth)
    items.push(item)
    loose ||= item.loose
    at = next
    if (gap && at < lines.length) {
      const more = ITEM.exec(lines[at])
      if (more !== null && typeOf(more[2]) === type && !isRule(lines[at])) loose = true
    }
  }
  const ordered = /\d/.test(first[2])
  return [{ kind: 'list', ordered, start: ordered ? parseInt(first[2], 10) : 1, tight: !loose, items }, at]
}

/** One item: `[item, the line behind it and its blank lines, whether there were such]`. */
function itemAt(lines, from, [, indent, marker, space = ' ', rest = ''], depth) {
  const gap = space.length > 4 || rest === '' ? 1 : space.replace(/\t/g, '    ').length
  const inner = indent.length + marker.length + gap
  const inside = [space.length > 4 ? space.slice(1) + rest : rest]
  let at = from + 1
  let blanks = 0
  let open = opened(null, inside[0])
  for (; at < lines.length; at++) {
    const line = lines[at]
    if (blank(line)) {
      blanks += 1
      if (inside.length === 1 && blank(inside[0])) break // an item that begins with nothing, and goes on with nothing
      continue
    }
    const own = width(line) >= Math.min(inner, indent.length + 6)
    if (!own && (blanks > 0 || interrupts(line) || ITEM.test(line) || open !== null)) break
    for (; blanks > 0; blanks--) inside.push('')
    inside.push(own ? dedented(line, inner) : line.trimStart())
    open = opened(open, inside.at(-1))
  }
  const task = /^\[([ xX])\][ \t]+/.exec(inside[0])
  if (task) inside[0] = inside[0].slice(task[0].length)
  const found = blocks(inside, depth + 1)
  const loose = found.length > 1 && found.some((block, n) => n > 0 && blank(inside[block.line - 1] ?? 'x'))
  return [{ task: task ? task[1] !== ' ' : null, blocks: found, raw: inside.join('\n'), loose }, at, blanks > 0]
}

/** The mark of the code that is open behind one more line, or null. */
function opened(open, line) {
  if (open === null) return fenceOf(line)?.mark ?? null
  const end = FENCE.exec(line)
  return end !== null && end[2][0] === open[0] && end[2].length >= open.length && end[3].trim() === '' ? null : open
}

function width(line) {
  let columns = 0
  for (const char of line) {
    if (char === ' ') columns += 1
    else if (char === '\t') columns += 4 - (columns % 4)
    else break
  }
  return columns
}

function dedented(line, columns) {
  let at = 0
  let gone = 0
  while (gone < columns && at < line.length && (line[at] === ' ' || line[at] === '\t')) {
    gone += line[at] === '\t' ? 4 - (gone % 4) : 1
    at += 1
  }
  return ' '.repeat(Math.max(gone - columns, 0)) + line.slice(at)
}

// -- tables and paragraphs ----------------------------------------------------------------------------------------------

function isTable(lines, at) {
  const [head, rule] = [lines[at], lines[at + 1]]
  if (rule === undefined || !head.includes('|') || rule.length > LONGEST || !rule.includes('-') || !TABLE.test(rule)) return false
  return cells(head).length === cells(rule).length
}

function tabled(lines, from) {
  const align = cells(lines[from + 1]).map((cell) => {
    if (/^:.*:$/.test(cell)) return 'center'
    return cell.endsWith(':') ? 'right' : ''
  })
  const raws = []
  let at = from + 2
  for (; at < lines.length && !blank(lines[at]) && !interrupts(lines[at]); at++) raws.push(lines[at])
  const rows = raws.map(cells).map((row) => align.map((_, column) => inlines(row[column] ?? '')))
  return [{ kind: 'table', align, head: cells(lines[from]).map((cell) => inlines(cell)), rows, raws }, at]
}

/** The cells of a row; a bar behind a backslash, or in code, is a cell's own. */
function cells(line) {
  const found = ['']
  let code = false
  const body = line.trim().replace(/^\|/, '')
  for (let at = 0; at < body.length; at++) {
    const char = body[at]
    if (char === '\\' && body[at + 1] === '|') {
      found[found.length - 1] += '|'
      at += 1
      continue
    }
    if (char === '`') code = !code && body.includes('`', at + 1)
    if (char === '|' && !code) found.push('')
    else found[found.length - 1] += char
  }
  if (found.length > 1 && blank(found.at(-1))) found.pop()
  return found.map((cell) => cell.trim())
}

function paragraph(lines, from, depth) {
  const inside = [lines[from].trimStart()]
  let at = from + 1
  for (; at < lines.length && !blank(lines[at]); at++) {
    const under = /^ {0,3}(=+|-+)[ \t]*$/.exec(lines[at])
    if (under) return [{ kind: 'heading', level: under[1][0] === '=' ? 1 : 2, inline: inlines(inside.join('\n').trim()) }, at + 1]
    if (interrupts(lines[at]) && depth < DEEPEST + 1) break
    if (isTable(lines, at)) break
    inside.push(lines[at].trimStart())
  }
  return [{ kind: 'paragraph', inline: inlines(inside.join('\n').trimEnd()) }, at]
}
