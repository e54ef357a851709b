/** Text as it comes from tools: escapes of terminals, and JSON that is not whole yet.  Pure. */

/** One line, and not too long. */
export function short(text, most = 120) {
  const line = String(text ?? '').slice(0, most * 4).replace(/\s+/g, ' ').trim()
  return line.length > most ? `${line.slice(0, most - 1)}…` : line
}

const NAMES = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white']

/**
 * Pieces of text with the classes of their colours.  What moves a cursor is left out; a line that a carriage return has
 * written anew is there once.
 * @returns {{text: string, class: string}[]}
 */
export function ansi(text) {
  const plain = text.includes('\r') ? text.split('\n').map(rewritten).join('\n') : text
  if (!plain.includes('\u001b')) return [{ text: plain, class: '' }]
  const pieces = []
  const look = { bold: false, dim: false, italic: false, underline: false, colour: '' }
  const escapes = /\u001b(?:\[([0-9;:?]*)([@-~])|\[[0-9;:?]*$|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\^_=>]|[()][0-9A-Z])?/g
  let at = 0
  for (const found of plain.matchAll(escapes)) {
    if (found.index > at) pieces.push({ text: plain.slice(at, found.index), class: worn(look) })
    at = found.index + found[0].length
    if (found[2] === 'm') wear(look, found[1])
  }
  if (at < plain.length) pieces.push({ text: plain.slice(at), class: worn(look) })
  return pieces
}

/** What is left of a line behind its carriage returns. */
function rewritten(line) {
  let end = line.length
  while (line[end - 1] === '\r') end -= 1
  return line.slice(line.lastIndexOf('\r', end - 1) + 1, end)
}

function worn(look) {
  const names = ['bold', 'dim', 'italic', 'underline'].filter((name) => look[name]).map((name) => `t-${name}`)
  if (look.colour) names.push(`t-${look.colour}`)
  return names.join(' ')
}

function wear(look, codes) {
  const list = codes.split(/[;:]/).map(Number)
  for (let at = 0; at < list.length; at++) {
    const code = list[at]
    if (code === 0) Object.assign(look, { bold: false, dim: false, italic: false, underline: false, colour: '' })
    else if (code === 1) look.bold = true
    else if (code === 2) look.dim = true
    else if (code === 3) look.italic = true
    else if (code === 4) look.underline = true
    else if (code === 22) look.bold = look.dim = false
    else if (code === 23) look.italic = false
    else if (code === 24) look.underline = false
    else if (code >= 30 && code <= 37) look.colour = NAMES[code - 30]
    else if (code >= 90 && code <= 97) look.colour = NAMES[code - 90]
    else if (code === 39) look.colour = ''
    else if (code === 38 || code === 48) {
      if (code === 38 && list[at + 1] === 5 && list[at + 2] < 16) look.colour = NAMES[list[at + 2] % 8]
      at += list[at + 1] === 5 ? 2 : 4
    }
  }
}

const UNSEEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]|(?! )\p{Zs}/gu
const EMOJI = /[\p{Extended_Pictographic}\p{Emoji_Modifier}\ufe0f]$/u

/**
 * Pieces of a text that somebody is to judge: whatever would not be seen, or turns the direction of what follows, is a
 * piece of its own that says what it is.
 * @returns {{text: string, odd: boolean}[]}
 */
export function revealed(text) {
  const pieces = []
  let at = 0
  for (const found of text.matchAll(UNSEEN)) {
    const [char] = found
    if (char === '\n' || char === '\t') continue
    if ((char === '\u200d' || char === '\ufe0f') && EMOJI.test(text.slice(Math.max(found.index - 2, 0), found.index))) continue
    if (found.index > at) pieces.push({ text: text.slice(at, found.index), odd: false })
    pieces.push({ text: named(char.codePointAt(0)), odd: true })
    at = found.index + char.length
  }
  if (at < text.length || pieces.length === 0) pieces.push({ text: text.slice(at), odd: false })
  return pieces
}

/** The same as one text. */
export function seen(text) {
  return revealed(text).map((piece) => piece.text).join('')
}

const NAMES_OF_CONTROLS = { 0: 'NUL', 8: 'BS', 13: 'CR', 27: 'ESC', 127: 'DEL' }

function named(code) {
  return NAMES_OF_CONTROLS[code] ?? `U+${code.toString(16).toUpperCase().padStart(4, '0')}`
}

const DEEPEST = 200 // brackets within brackets: the server reads no more either

/** JSON, or what of an object has come so far; null where nothing can be made of it, or nothing that can be laid out. */
export function loose(text) {
  if (typeof text !== 'string' || text.trim() === '' || isDeep(text)) return null
  try {
    return JSON.parse(text)
  } catch {
    return partial(text)
  }
}

/** Whether a JSON text has more brackets within brackets than anybody looks at. */
function isDeep(text) {
  let depth = 0
  let quoted = false
  for (let at = 0; at < text.length && depth <= DEEPEST; at++) {
    const char = text[at]
    if (char === '"') quoted = !quoted
    else if (quoted && char === '\\') at += 1
    else if (!quoted && (char === '{' || char === '[')) depth += 1
    else if (!quoted && (char === '}' || char === ']')) depth -= 1
  }
  return depth > DEEPEST
}

/** Close what is open at the end of a JSON text that was cut off. */
function partial(text) {
  if (text.length > 200_000 || !/^\s*[{[]/.test(text)) return null
  let quoted = false
  let escaped = false
  let safe = 0 // up to here the text is whole, but for its brackets
  let open = '' // what closes the brackets that are open here
  let closers = '' // and there
  for (let at = 0; at < text.length; at++) {
    const char = text[at]
    if (quoted) {
      if (escaped) escaped = false
      else if (char === '\\') escaped = true
      else if (char === '"') quoted = false
      continue
    }
    if (char === '"') quoted = true
    else if (char === '{' || char === '[') open = (char === '{' ? '}' : ']') + open
    else if (char === '}' || char === ']') open = open.slice(1)
    if (char === ',' || char === '{' || char === '[' || char === '}' || char === ']') {
      safe = char === ',' ? at : at + 1
      closers = open
    }
  }
  const cut = text.replace(/\\(u[0-9a-fA-F]{0,3})?$/, '')
  return parsed(cut + (quoted ? '"' : '') + open) ?? parsed(text.slice(0, safe) + closers)
}

function parsed(text) {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
