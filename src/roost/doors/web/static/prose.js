/** Markdown as nodes of the page, block by block: while it grows, only its last block is made anew. */

import { copier } from './calls.js'
import { coloured } from './colours.js'
import { h } from './dom.js'
import { elsewhere } from './inlines.js'
import { parse } from './markdown.js'

/** A text that may grow. */
export class Prose {
  #text = ''
  #start = 0 // where the last block begins
  #last = null // the last block, and its node
  #cut = null
  #level = 1 // of the heading before, so that none is skipped

  constructor() {
    this.element = h('div', { class: 'prose' })
  }

  /** Show this text; one that begins with the one before is cheap. */
  show(text, { growing = false } = {}) {
    if (text === this.#text && growing === this.#cut) return
    this.#cut = growing
    if (!text.startsWith(this.#text) || this.#last === null) {
      this.element.replaceChildren()
      this.#start = 0
      this.#last = null
      this.#level = 1
    }
    this.#text = text
    const rest = text.slice(this.#start)
    const found = parse(rest)
    const old = this.#last
    this.#last = null
    found.forEach((block, at) => {
      if (block.kind === 'heading') block.as = Math.min(block.level + 1, this.#level + 1, 6)
      if (block.kind === 'heading' && at < found.length - 1) this.#level = block.as
      const kept = at === 0 && old !== null ? patched(old.node, old.block, block, growing) : null
      if (at === 0 && old !== null && kept === null) old.node.remove()
      const node = kept ?? made(block, growing)
      if (kept === null) this.element.append(node)
      this.#last = { block, node }
    })
    if (found.length > 0) this.#start += offset(rest, found.at(-1).line)
  }
}

/** Nodes for a text that is whole. */
export function prose(text) {
  const whole = new Prose()
  whole.show(text)
  return whole.element
}

function offset(text, line) {
  let at = 0
  for (let n = 0; n < line; n++) {
    const end = text.indexOf('\n', at)
    if (end < 0) return text.length
    at = end + 1
  }
  return at
}

/** The old node brought up to the new block, where that is less work than another one; null where it is not. */
function patched(node, old, block, growing) {
  if (old.kind !== block.kind) return null
  if (block.kind === 'code' && old.lang === block.lang) {
    const code = node.querySelector('code')
    if (growing && !block.closed && block.text.startsWith(old.text)) {
      if (code.lastChild?.nodeType === Node.TEXT_NODE) code.lastChild.appendData(block.text.slice(old.text.length))
      else code.append(block.text.slice(old.text.length))
    } else filled(code, block, growing)
    node.$text = block.text
    return node
  }
  if (block.kind === 'list' && old.ordered === block.ordered && old.tight === block.tight) return patchedList(node, old, block)
  if (block.kind === 'table' && old.align.length === block.align.length) return patchedTable(node, old, block)
  return null
}

function patchedList(node, old, block) {
  block.items.forEach((item, at) => {
    const before = old.items[at]
    if (before !== undefined && before.raw === item.raw && before.task === item.task) return
    const fresh = itemNode(item, block.tight)
    if (at < node.children.length) node.children[at].replaceWith(fresh)
    else node.append(fresh)
  })
  while (node.children.length > block.items.length) node.lastChild.remove()
  return node
}

function patchedTable(node, old, block) {
  const body = node.querySelector('tbody')
  block.rows.forEach((row, at) => {
    if (old.raws[at] === block.raws[at]) return
    const fresh = rowNode(row, block.align)
    if (at < body.children.length) body.children[at].replaceWith(fresh)
    else body.append(fresh)
  })
  while (body.children.length > block.rows.length) body.lastChild.remove()
  return node
}

function made(block, growing = false) {
  switch (block.kind) {
    case 'heading': return h(`h${block.as ?? 6}`, { class: `h${block.level}`, dir: 'auto' }, words(block.inline))
    case 'code': return codeNode(block, growing)
    case 'quote': return h('blockquote', { dir: 'auto' }, block.blocks.map((one) => made(one)))
    case 'list': return h(block.ordered ? 'ol' : 'ul', { dir: 'auto', start: block.ordered && block.start !== 1 ? block.start : null }, block.items.map((item) => itemNode(item, block.tight)))
    case 'table': return h('div', { class: 'tabled', tabindex: 0, role: 'group', 'aria-label': 'Table' }, h('table', { dir: 'auto' }, h('thead', {}, rowNode(block.head, block.align, 'th')), h('tbody', {}, block.rows.map((row) => rowNode(row, block.align)))))
    case 'rule': return h('hr')
    default: return h('p', { dir: 'auto' }, words(block.inline))
  }
}

function itemNode(item, tight) {
  const inside = item.blocks.flatMap((block) => (tight && block.kind === 'paragraph' ? words(block.inline) : [made(block)]))
  if (item.task === null) return h('li', {}, inside)
  return h('li', { class: 'task' }, h('span', { class: ['box', item.task && 'done'], role: 'img', 'aria-label': item.task ? 'Done' : 'To do' }), h('div', {}, inside))
}

function rowNode(row, align, tag = 'td') {
  return h('tr', {}, row.map((cell, at) => h(tag, { class: align[at] || null, scope: tag === 'th' ? 'col' : null }, words(cell))))
}

function codeNode(block, growing) {
  const code = h('code')
  filled(code, block, growing)
  const node = h('figure', { class: 'code' },
    h('figcaption', {}, h('span', {}, block.lang), copier(() => node.$text, 'Copy code')),
    h('pre', { dir: 'ltr', tabindex: 0, 'aria-label': block.lang ? `Code in ${block.lang}` : 'Code' }, code))
  node.$text = block.text
  return node
}

function filled(code, block, growing) {
  const pieces = growing && !block.closed ? [{ text: block.text, kind: '' }] : coloured(block.text, block.lang)
  code.replaceChildren(...pieces.map(({ text, kind }) => (kind ? h('span', { class: `c-${kind}` }, text) : document.createTextNode(text))))
}

/** Where a link leads, if its words say otherwise: on a phone nothing else tells. */
function whither(node) {
  const host = elsewhere(node)
  return host && h('span', { class: 'whither' }, ` → ${host}`)
}

/** The nodes of a paragraph's inside. */
function words(inline) {
  return inline.map((node) => {
    switch (node.kind) {
      case 'code': return h('code', { dir: 'ltr' }, node.text)
      case 'break': return h('br')
      case 'em': case 'strong': case 'del': return h(node.kind, {}, words(node.inside))
      case 'link': return h('a', { href: node.href, target: '_blank', rel: 'noopener noreferrer nofollow', title: node.href, class: node.picture ? 'picture' : null }, words(node.inside), whither(node))
      case 'place': return h('span', { class: 'nolink', title: node.place }, words(node.inside))
      default: return document.createTextNode(node.text)
    }
  })
}
