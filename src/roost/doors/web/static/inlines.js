/** The inside of a paragraph of Markdown: emphasis, code, links, to plain values.  Any text is taken, in time that grows with it. */

/**
 * @typedef {{kind: 'text', text: string} | {kind: 'code', text: string} | {kind: 'break'} |
 *   {kind: 'em' | 'strong' | 'del', inside: Inline[]} | {kind: 'link', href: string, picture?: boolean, inside: Inline[]}} Inline
 */

const SAFE = /^(https?:\/\/|mailto:)[^\s<>"]/i
const PUNCTUATION = /[!-/:-@[-`{-~\p{P}\p{S}]/u
const SPECIAL = /[\\`*_~[\]!<\n&hHwW]/
const ENTITIES = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0', copy: '©', hellip: '…', mdash: '—', ndash: '–', rarr: '→', larr: '←', times: '×', middot: '·', bull: '•' }
const ADDRESS = 2_000 // characters of a link's address
const NESTED = 40

/** @returns {Inline[]} */
export function inlines(text) {
  return new Scan(text).run()
}

class Scan {
  constructor(text) {
    this.text = text
    this.at = 0
    this.nodes = [] // text, code, breaks; and marks: delimiters that may yet become emphasis
    this.brackets = []
    this.next = -1 // where the next address of a link may begin
    this.runs = null // where runs of back quotes of each length are
  }

  run() {
    const { text } = this
    let plain = 0
    while (this.at < text.length) {
      if (!SPECIAL.test(text[this.at])) {
        this.at += 1
        continue
      }
      const from = this.at
      const done = this.special(text[from])
      if (!done) {
        this.at = from + 1
        continue
      }
      if (from > plain) this.nodes.splice(done.before, 0, { kind: 'text', text: text.slice(plain, from) })
      done.act()
      plain = this.at
    }
    if (text.length > plain) this.say(text.slice(plain))
    return joined(emphasized(this.nodes))
  }

  say(words) {
    this.nodes.push({ kind: 'text', text: words })
  }

  /** Look at a special character: what to do once the text before it is said, or null where it is as plain as any other. */
  special(char) {
    const before = this.nodes.length
    const push = (node) => ({ before, act: () => this.nodes.push(node) })
    switch (char) {
      case '\\': return this.escaped(push)
      case '`': return this.coded(push)
      case '\n': return this.broken(push)
      case '&': return this.entity(push)
      case '<': return this.angled(push)
      case '*': case '_': case '~': return this.marked(char, push)
      case '!': if (this.text[this.at + 1] !== '[') return null
        this.at += 2
        return { before, act: () => this.open(true) }
      case '[': this.at += 1
        return { before, act: () => this.open(false) }
      case ']': this.at += 1
        return { before, act: () => this.close() }
      default: return this.bare(push)
    }
  }

  escaped(push) {
    const next = this.text[this.at + 1]
    if (next === '\n') {
      this.at += 2
      return push({ kind: 'break' })
    }
    if (next === undefined || !/[!-/:-@[-`{-~]/.test(next)) return null
    this.at += 2
    return push({ kind: 'text', text: next })
  }

  /** A run of back quotes up to the next of the same length; the places of all runs are looked up once. */
  coded(push) {
    const { text } = this
    let end = this.at
    while (text[end] === '`') end += 1
    const size = end - this.at
    if (this.runs === null) {
      this.runs = new Map()
      for (const found of text.matchAll(/`+/g)) {
        const places = this.runs.get(found[0].length) ?? []
        this.runs.set(found[0].length, places)
        places.push(found.index)
      }
    }
    const places = this.runs.get(size) ?? []
    places.next ??= 0
    while (places.next < places.length && places[places.next] < end) places.next += 1
    const close = places[places.next]
    if (close === undefined) {
      const start = this.at
      this.at = end
      return push({ kind: 'text', text: text.slice(start, end) })
    }
    let inside = text.slice(end, close).replace(/\n/g, ' ')
    if (inside.length > 2 && inside[0] === ' ' && inside.at(-1) === ' ' && inside.trim() !== '') inside = inside.slice(1, -1)
    this.at = close + size
    return push({ kind: 'code', text: inside })
  }

  broken(push) {
    const hard = this.text.slice(Math.max(this.at - 2, 0), this.at) === '  '
    this.at += 1
    return push(hard ? { kind: 'break' } : { kind: 'text', text: '\n' })
  }

  entity(push) {
    const found = /^&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|([a-zA-Z]{2,10}));/.exec(this.text.slice(this.at, this.at + 14))
    if (found === null) return null
    const code = found[1] ? Number(found[1]) : found[2] ? parseInt(found[2], 16) : 0
    const known = found[3] ? (Object.hasOwn(ENTITIES, found[3]) ? ENTITIES[found[3]] : null) : code > 0 && code < 0x110000 && !(code >= 0xd800 && code < 0xe000) ? String.fromCodePoint(code) : '\ufffd'
    if (known === null) return null
    this.at += found[0].length
    return push({ kind: 'text', text: known })
  }

  /** `<https://…>`, `<me@example.com>`, `<br>`; any other tag stays the text that it is. */
  angled(push) {
    const found = /^<([a-zA-Z][a-zA-Z0-9+.-]{1,30}:[^\s<>]*|[\w.+-]+@[\w-]+(?:\.[\w-]+)+|br ?\/?)>/.exec(this.text.slice(this.at, this.at + ADDRESS))
    if (found === null) return null
    if (/^br ?\/?$/i.test(found[1])) {
      this.at += found[0].length
      return push({ kind: 'break' })
    }
    const href = /^[^:]+@/.test(found[1]) ? `mailto:${found[1]}` : found[1]
    if (!SAFE.test(href)) return null
    this.at += found[0].length
    return push({ kind: 'link', href, inside: [{ kind: 'text', text: found[1] }] })
  }

  /** An address that stands in the text as it is. */
  bare(push) {
    const before = this.at === 0 ? ' ' : this.text[this.at - 1]
    if (/[\w/@]/.test(before)) return null
    const found = /^(?:https?:\/\/|www\.)[^\s<>`"]+/i.exec(this.text.slice(this.at, this.at + ADDRESS))
    if (found === null || this.linked()) return null
    const address = trimmed(found[0])
    if (!/^(?:https?:\/\/|www\.)[^/?#.]/i.test(address)) return null
    this.at += address.length
    return push({ kind: 'link', href: /^w/i.test(address) ? `https://${address}` : address, inside: [{ kind: 'text', text: address }] })
  }

  /** Whether what stands here may yet become the words of a link. */
  linked() {
    if (!this.brackets.some(({ alive }) => alive)) return false
    if (this.next < this.at) this.next = (this.text.indexOf('](', this.at) + 1 || Infinity) - 1
    return this.next !== Infinity
  }

  marked(char, push) {
    const { text } = this
    let end = this.at
    while (text[end] === char) end += 1
    const size = end - this.at
    if (char === '~' && size !== 2) return null
    const before = this.at === 0 ? '\n' : text[this.at - 1]
    const after = text[end] ?? '\n'
    const left = !/\s/.test(after) && (!PUNCTUATION.test(after) || /\s/.test(before) || PUNCTUATION.test(before))
    const right = !/\s/.test(before) && (!PUNCTUATION.test(before) || /\s/.test(after) || PUNCTUATION.test(after))
    const opens = char === '_' ? left && (!right || PUNCTUATION.test(before)) : left
    const closes = char === '_' ? right && (!left || PUNCTUATION.test(after)) : right
    this.at = end
    return push({ kind: 'mark', char, size, whole: size, opens, closes })
  }

  // -- links ----------------------------------------------------------------------------------------

  open(picture) {
    this.brackets.push({ at: this.nodes.length, picture, alive: true })
    this.say(picture ? '![' : '[')
  }

  close() {
    const bracket = this.brackets.pop()
    const target = bracket?.alive ? this.target() : null
    if (target === null) return this.say(']')
    const inside = joined(emphasized(this.nodes.splice(bracket.at).slice(1)))
    this.at = target.end
    if (!bracket.picture) for (const outer of this.brackets) outer.alive = outer.picture // no link inside a link
    if (inside.length === 0) inside.push({ kind: 'text', text: bracket.picture ? 'picture' : target.href })
    if (SAFE.test(target.href)) this.nodes.push({ kind: 'link', href: target.href, picture: bracket.picture, inside })
    else this.nodes.push({ kind: 'place', place: target.href, inside })
  }

  /** `(address "title")` behind a bracket. */
  target() {
    if (this.text[this.at] !== '(') return null
    const rest = this.text.slice(this.at + 1, this.at + ADDRESS)
    const angled = /^[ \n]*<([^<>\n]*)>/.exec(rest)
    let href = ''
    let end = 0
    if (angled) [href, end] = [angled[1], angled[0].length]
    else {
      end = /^[ \n]*/.exec(rest)[0].length
      const from = end
      let depth = 0
      for (; end < rest.length && !/[\s<]/.test(rest[end]); end++) {
        if (rest[end] === '\\') end += 1
        else if (rest[end] === '(' && ++depth > NESTED) return null
        else if (rest[end] === ')' && --depth < 0) break
      }
      href = rest.slice(from, end).replace(/\\([!-/:-@[-`{-~])/g, '$1')
    }
    const tail = /^(?:[ \n]+(?:"[^"]*"|'[^']*'|\([^()]*\)))?[ \n]*\)/.exec(rest.slice(end))
    return tail === null ? null : { href, end: this.at + 1 + end + tail[0].length }
  }
}

/** The host that a link leads to, where its words name another one; else ''. */
export function elsewhere({ href, inside }) {
  const named = hostIn(wordsOf(inside))
  if (named === '' || !/^https?:/i.test(href)) return ''
  try {
    const { host } = new URL(href)
    return host === named || host.endsWith(`.${named}`) || `www.${host}` === named ? '' : host
  } catch {
    return ''
  }
}

/** The first host that a text names; '' where it names none.  Each word is looked at once. */
function hostIn(text) {
  for (const [run] of text.matchAll(/[\w.-]+/g)) {
    const parts = run.split('.')
    let from = 0
    let host = ''
    for (let at = 0; at < parts.length; at++) {
      if (at > from) host = /^[a-z]{2,}/i.test(parts[at]) ? `${parts.slice(from, at).join('.')}.${/^[a-z]+/i.exec(parts[at])[0]}` : host
      if (parts[at] !== '') continue
      if (host !== '') break
      from = at + 1
    }
    if (host !== '') return host.toLowerCase()
  }
  return ''
}

function wordsOf(inside) {
  return inside.map((node) => node.text ?? wordsOf(node.inside ?? [])).join('')
}

/** Punctuation at the end of a bare address belongs to the sentence; a closing bracket only where none opened. */
function trimmed(address) {
  let end = address.length
  while (end > 0) {
    const char = address[end - 1]
    if (/[.,:;!?'*_~\]]/.test(char)) end -= 1
    else if (char === ')' && address.slice(0, end).split(')').length > address.slice(0, end).split('(').length) end -= 1
    else break
  }
  return address.slice(0, end)
}

/** Make emphasis out of marks: the rules of CommonMark, with a bound on how far back is looked for each kind of mark. */
function emphasized(nodes) {
  let level = { mark: null, inside: [] }
  const levels = [level]
  const floor = new Map()
  for (const node of nodes) {
    if (node.kind !== 'mark') {
      level.inside.push(node)
      continue
    }
    const mark = node
    while (mark.closes && mark.size > 0) {
      const found = opener(levels, mark, floor)
      if (found < 0) break
      const inside = flat(levels.splice(found + 1), levels[found])
      const opening = levels[found].mark
      const size = mark.char === '~' ? 2 : opening.size >= 2 && mark.size >= 2 ? 2 : 1
      opening.size -= size
      mark.size -= size
      const made = { kind: mark.char === '~' ? 'del' : size === 2 ? 'strong' : 'em', inside: joined(inside) }
      made.depth = 1 + inside.reduce((most, one) => Math.max(most, one.depth ?? 0), 0)
      const pieces = made.depth > NESTED ? made.inside : [made]
      levels[found].inside = pieces
      if (opening.size === 0) {
        const [gone] = levels.splice(found)
        levels.at(-1).inside.push(...gone.inside)
      }
      level = levels.at(-1)
    }
    if (mark.size === 0) continue
    if (mark.opens && levels.length < 400) {
      level = { mark, inside: [] }
      levels.push(level)
    } else level.inside.push({ kind: 'text', text: mark.char.repeat(mark.size) })
  }
  return flat(levels.splice(1), levels[0])
}

/** The level whose mark this one closes, or -1; a search in vain is not made twice. */
function opener(levels, mark, floor) {
  const name = `${mark.char}${mark.opens ? mark.whole % 3 : ''}`
  const bottom = floor.get(name)
  for (let at = levels.length - 1; at > 0; at--) {
    const { mark: opening } = levels[at]
    if (opening === bottom) break
    if (opening.char !== mark.char) continue
    const odd = (opening.closes || mark.opens) && (opening.whole + mark.whole) % 3 === 0 && !(opening.whole % 3 === 0 && mark.whole % 3 === 0)
    if (mark.char === '~' || !odd) return at
  }
  floor.set(name, levels.at(-1).mark)
  return -1
}

/** What is inside a level, and inside those above it whose marks have come to nothing. */
function flat(above, level) {
  const inside = level.inside
  for (const { mark, inside: more } of above) {
    inside.push({ kind: 'text', text: mark.char.repeat(mark.size) })
    for (const node of more) inside.push(node)
  }
  return inside
}

/** Neighbouring texts are one. */
function joined(nodes) {
  const found = []
  for (const node of nodes) {
    if (node.kind === 'mark') node.kind = 'text', (node.text = node.char.repeat(node.size))
    const last = found.at(-1)
    if (node.kind === 'text' && last?.kind === 'text') last.text += node.text
    else found.push(node.kind === 'text' ? { kind: 'text', text: node.text } : node)
  }
  return found
}
