/** Changes to files as lines with a sign: out of two texts, a unified diff, or a patch.  Pure. */

const MOST = 1_500_000 // cells of the table that finds what two texts share
const CONTEXT = 3

/**
 * @typedef {{sign: ' '|'+'|'-'|'@', text: string, old?: number, new?: number}} Line
 * @typedef {{path: string, was?: string, how: 'edit'|'new'|'delete', lines: Line[], plus: number, minus: number}} Change
 */

/** The lines of a text; a line break at the end begins no other. */
export function linesOf(text) {
  const lines = text.split('\n')
  if (lines.at(-1) === '') lines.pop()
  return lines
}

/** What makes `after` out of `before`, with a few lines around. */
export function compare(before, after) {
  return trimmed(signed(linesOf(before), linesOf(after)))
}

function signed(a, b) {
  let start = 0
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1
  let end = 0
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1
  const middle = shared(a.slice(start, a.length - end), b.slice(start, b.length - end))
  const same = (lines) => lines.map((text) => ({ sign: ' ', text }))
  return [...same(a.slice(0, start)), ...middle, ...same(a.slice(a.length - end))]
}

/** By the longest common subsequence; where that is too much work, all of one and then all of the other. */
function shared(a, b) {
  const minus = (text) => ({ sign: '-', text })
  const plus = (text) => ({ sign: '+', text })
  if ((a.length + 1) * (b.length + 1) > MOST) return [...a.map(minus), ...b.map(plus)]
  const width = b.length + 1
  const table = new Uint32Array((a.length + 1) * width)
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      const at = i * width + j
      table[at] = a[i] === b[j] ? table[at + width + 1] + 1 : Math.max(table[at + width], table[at + 1])
    }
  }
  const lines = []
  let i = 0
  let j = 0
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      lines.push({ sign: ' ', text: a[i] })
      i += 1
      j += 1
    } else if (j >= b.length || (i < a.length && table[(i + 1) * width + j] >= table[i * width + j + 1])) lines.push(minus(a[i++]))
    else lines.push(plus(b[j++]))
  }
  return lines
}

/** Numbered, and without what is far from any change. */
function trimmed(lines) {
  const near = new Uint8Array(lines.length)
  lines.forEach((line, at) => {
    if (line.sign !== ' ') near.fill(1, Math.max(0, at - CONTEXT), at + CONTEXT + 1)
  })
  const kept = []
  const number = { old: 1, new: 1 }
  let skipped = false
  lines.forEach((line, at) => {
    if (near[at]) {
      if (skipped && kept.length > 0) kept.push({ sign: '@', text: '' })
      kept.push({ ...line, old: line.sign === '+' ? undefined : number.old, new: line.sign === '-' ? undefined : number.new })
    }
    skipped = !near[at]
    if (line.sign !== '+') number.old += 1
    if (line.sign !== '-') number.new += 1
  })
  return kept
}

/** @returns {Change} */
export function change(path, lines, how = 'edit', was = undefined) {
  const count = (sign) => lines.reduce((sum, line) => sum + (line.sign === sign ? 1 : 0), 0)
  return { path, was, how, lines, plus: count('+'), minus: count('-') }
}

/** The changes that a unified diff holds; null where it is none. */
export function unified(text) {
  if (!/^(diff --git |--- |\+\+\+ |@@ )/m.test(text) || !/^@@ /m.test(text)) return null
  const changes = []
  let now = null
  const number = { old: 0, new: 0, left: 0, right: 0 }
  for (const line of linesOf(text)) {
    const inside = now !== null && (number.left > 0 || number.right > 0)
    const hunk = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@ ?(.*)$/.exec(line)
    if (hunk) {
      now ??= opened(changes, '')
      Object.assign(number, { old: +hunk[1], left: +(hunk[2] ?? 1), new: +hunk[3], right: +(hunk[4] ?? 1) })
      if (now.lines.length > 0 || hunk[5]) now.lines.push({ sign: '@', text: hunk[5] })
    } else if (inside && /^[ +-]|^$/.test(line)) numbered(now, line, number)
    else if (line.startsWith('diff --git ')) now = opened(changes, / b\/(.*)$/.exec(line)?.[1] ?? '')
    else if (line.startsWith('--- ')) {
      if (now === null || now.lines.length > 0) now = opened(changes, '')
      now.was = named(line)
    } else if (line.startsWith('+++ ')) {
      now ??= opened(changes, '')
      if (named(line) === '/dev/null') Object.assign(now, { how: 'delete', path: now.was })
      else now.path = named(line)
      if (now.was === '/dev/null') now.how = 'new'
    }
  }
  return changes.map(({ path, was, how, lines }) => change(path, lines, how, was === path || was === '/dev/null' ? undefined : was))
}

function opened(changes, path) {
  changes.push({ path, was: undefined, how: 'edit', lines: [] })
  return changes.at(-1)
}

function named(line) {
  return line.slice(4).split('\t')[0].replace(/^[ab]\//, '')
}

function numbered(now, line, number) {
  const sign = line === '' ? ' ' : line[0]
  const at = { sign, text: line.slice(1) }
  if (sign !== '+') Object.assign(at, { old: number.old++ }), (number.left -= 1)
  if (sign !== '-') Object.assign(at, { new: number.new++ }), (number.right -= 1)
  now.lines.push(at)
}

/** The changes of a patch of the form that begins with `*** Begin Patch`; null where it is none. */
export function patch(text) {
  if (!/^\*\*\* (Begin Patch|(Update|Add|Delete) File:)/m.test(text)) return null
  const changes = []
  let now = null
  for (const line of linesOf(text)) {
    const header = /^\*\*\* (Update|Add|Delete) File: (.*)$/.exec(line)
    if (header) {
      now = opened(changes, header[2])
      now.how = { Update: 'edit', Add: 'new', Delete: 'delete' }[header[1]]
    } else if (now !== null && line.startsWith('*** Move to: ')) Object.assign(now, { was: now.path, path: line.slice(13) })
    else if (now === null || line.startsWith('*** ')) continue
    else if (line.startsWith('@@')) {
      const place = line.replace(/^@@ ?/, '').replace(/ @@$/, '')
      if (now.lines.length > 0 || place) now.lines.push({ sign: '@', text: place })
    } else if (/^[ +-]/.test(line)) now.lines.push({ sign: line[0], text: line.slice(1) })
    else if (line === '') now.lines.push({ sign: ' ', text: '' })
  }
  return changes.map(({ path, was, how, lines }) => change(path, lines, how, was))
}

/** The changes in any text that is a diff or a patch; null where it is neither. */
export function changesIn(text) {
  return patch(text) ?? unified(text)
}

const string = (...values) => values.find((value) => typeof value === 'string')

const PATHS = ['path', 'file_path', 'filePath', 'filename', 'absolute_path']
const PATCHES = ['patch', 'diff', 'input', 'unified_diff', 'patchText']
const BEFORE = ['oldText', 'old_string', 'old_str', 'old_text', 'oldString']
const AFTER = ['newText', 'new_string', 'new_str', 'new_text', 'newString']

const first = (args, names) => names.find((name) => typeof args[name] === 'string')

/** What a call would change, by the arguments that tools of this kind take; null where it is no such tool. */
export function changesOf(name, args) {
  return changing(name, args)?.changes ?? null
}

/**
 * The same, with the names of those arguments that the changes show whole: no other is to be left out.
 * @returns {{changes: Change[], shown: string[]} | null}
 */
export function changing(name, args) {
  if (args === null || typeof args !== 'object' || Array.isArray(args)) return null
  const place = first(args, PATHS)
  const path = place === undefined ? '' : args[place]
  const listed = Array.isArray(args.edits) ? args.edits.filter((edit) => edit && typeof edit === 'object') : null
  if (listed !== null && listed.some(paired)) {
    const whole = listed.length === args.edits.length && listed.every((edit) => paired(edit) && Object.keys(edit).length === 2)
    return { changes: [change(path, joined(listed))], shown: [place, whole && 'edits'] }
  }
  if (paired(args)) return { changes: [change(path, joined([args]))], shown: [place, ...pairOf(args)] }
  const text = first(args, PATCHES)
  const found = text === undefined ? null : changesIn(args[text])
  if (found !== null) return { changes: found, shown: [whole(args[text], found) && text] }
  if (Array.isArray(args.changes)) {
    const changes = listedChanges(args.changes)
    return changes && { changes, shown: [args.changes.every(plain) && 'changes'] }
  }
  const content = first(args, ['content', 'file_text'])
  if (content !== undefined && path !== '' && /write|create|save/i.test(name)) {
    const lines = linesOf(args[content]).map((line, at) => ({ sign: '+', text: line, new: at + 1 }))
    return { changes: [change(path, lines, 'new')], shown: [place, content] }
  }
  return null
}

/** Whether changes show every line of the diff that they were read from, but for its headers. */
function whole(text, changes) {
  const lines = linesOf(text).filter((line) => line !== '' && !/^(diff --git |index |--- |\+\+\+ |@@|\*\*\* |\\ No newline)/.test(line))
  const modes = /^(\*\*\* (?!(Begin|End) |(Update|Add|Delete) File: |Move to: ))/m.test(text)
  return !modes && lines.length <= changes.reduce((sum, one) => sum + one.lines.filter(({ sign }) => sign !== '@').length, 0)
}

/** Whether an entry of a list of changes has nothing that is not shown. */
function plain(entry) {
  if (entry === null || typeof entry !== 'object' || typeof entry.diff !== 'string') return false
  const found = changesIn(entry.diff)
  const known = Object.keys(entry).filter((key) => ['path', 'file', 'kind', 'type', 'diff'].includes(key))
  return known.length === Object.keys(entry).length && !('path' in entry && 'file' in entry) && (found === null || whole(entry.diff, found))
}

function pairOf(edit) {
  return [first(edit, BEFORE), first(edit, AFTER)]
}

function paired(edit) {
  return pairOf(edit).every((side) => side !== undefined)
}

function joined(edits) {
  const lines = []
  for (const edit of edits.filter(paired)) {
    if (lines.length > 0) lines.push({ sign: '@', text: '' })
    lines.push(...compare(...pairOf(edit).map((key) => edit[key])).map(({ sign, text }) => ({ sign, text }))) // where in the file, nobody knows
  }
  return lines
}

function listedChanges(entries) {
  const changes = entries.filter((entry) => entry && typeof entry === 'object').flatMap((entry) => {
    const path = string(entry.path, entry.file) ?? ''
    const diff = string(entry.diff)
    const how = { add: 'new', delete: 'delete' }[string(entry.kind, entry.type) ?? ''] ?? 'edit'
    if (diff === undefined) return path ? [change(path, [], how)] : []
    const found = changesIn(diff)
    if (found) return found.map((one) => ({ ...one, path: one.path || path }))
    const sign = how === 'delete' ? '-' : '+'
    return [change(path, linesOf(diff).map((text) => ({ sign, text })), how)]
  })
  return changes.length > 0 ? changes : null
}
