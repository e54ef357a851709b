// Diffs out of what tools take and give, and forms out of schemas.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { commandOf, summed } from '../../../src/roost/doors/web/static/calls.js'
import { changesIn, changesOf, changing, compare, patch, unified } from '../../../src/roost/doors/web/static/diff.js'
import { fieldsOf, read } from '../../../src/roost/doors/web/static/schema.js'
import { ansi, loose, revealed, seen } from '../../../src/roost/doors/web/static/text.js'

const shown = (lines) => lines.map(({ sign, text }) => sign + text)

test('two texts make a diff with a few lines around', () => {
  const before = Array.from({ length: 20 }, (_, n) => `line ${n}`)
  const after = before.with(10, 'other')
  assert.deepEqual(shown(compare(before.join('\n'), after.join('\n'))), [' line 7', ' line 8', ' line 9', '-line 10', '+other', ' line 11', ' line 12', ' line 13'])
})

test('applying a diff gives the new text', () => {
  let state = 7
  const roll = (below) => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) % below
  for (let round = 0; round < 200; round++) {
    const a = Array.from({ length: roll(12) }, () => 'abc'[roll(3)])
    const b = Array.from({ length: roll(12) }, () => 'abc'[roll(3)])
    const lines = compare(a.join('\n'), b.join('\n')).filter(({ sign }) => sign !== '@')
    const [left, right] = ['+', '-'].map((gone) => lines.filter(({ sign }) => sign !== gone).map(({ text }) => text).join(''))
    assert.ok(a.join('').includes(left.slice(0, 1)))
    assert.equal(lines.filter(({ sign }) => sign === '+').length - lines.filter(({ sign }) => sign === '-').length, b.length - a.length)
    assert.ok(b.join('').includes(right) || lines.length < b.length)
  }
})

test('texts that are too long to compare are one after the other', () => {
  const a = Array.from({ length: 3000 }, (_, n) => `a${n}`).join('\n')
  const b = Array.from({ length: 3000 }, (_, n) => `b${n}`).join('\n')
  assert.equal(compare(a, b).length, 6000)
})

test('unified diffs are read, with names, new files and deleted ones', () => {
  const text = 'diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,3 @@ def f\n a\n-b\n+c\n+d\n--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+new\n--- a/o\n+++ /dev/null\n@@ -1 +0,0 @@\n-old\n'
  const changes = unified(text)
  assert.deepEqual(changes.map(({ path, how, plus, minus }) => [path, how, plus, minus]), [['x', 'edit', 2, 1], ['n', 'new', 1, 0], ['o', 'delete', 0, 1]])
  assert.deepEqual(changes[0].lines.map(({ old, new: now }) => [old, now]).slice(1), [[1, 1], [2, undefined], [undefined, 2], [undefined, 3]])
  assert.equal(unified('no diff\n--- a line\n'), null)
})

test('lines of a hunk that look like headers are lines', () => {
  const [change] = unified('--- a/x\n+++ b/x\n@@ -1,2 +1,1 @@\n--- a comment\n kept\n')
  assert.deepEqual(shown(change.lines), ['--- a comment'.replace('---', '-' + '--'), ' kept'])
})

test('patches are read', () => {
  const changes = patch('*** Begin Patch\n*** Update File: a.py\n@@ def f\n x\n-y\n+z\n*** Add File: b.py\n+one\n*** Delete File: c.py\n*** End Patch')
  assert.deepEqual(changes.map(({ path, how, plus, minus }) => [path, how, plus, minus]), [['a.py', 'edit', 1, 1], ['b.py', 'new', 1, 0], ['c.py', 'delete', 0, 0]])
})

test('edits of every kind of tool are known by their arguments', () => {
  const pairs = [
    ['edit_file', { path: 'x', edits: [{ oldText: 'a', newText: 'b' }] }], ['Edit', { file_path: 'x', old_string: 'a', new_string: 'b' }],
    ['MultiEdit', { file_path: 'x', edits: [{ old_string: 'a', new_string: 'b' }] }], ['str_replace_editor', { path: 'x', old_str: 'a', new_str: 'b' }],
    ['apply_patch', { input: '*** Begin Patch\n*** Update File: x\n@@\n-a\n+b\n*** End Patch' }], ['apply_patch', { changes: [{ path: 'x', kind: 'update', diff: '@@ -1 +1 @@\n-a\n+b\n' }] }],
  ]
  for (const [name, args] of pairs) assert.deepEqual(changesOf(name, args).map(({ path, plus, minus }) => [path, plus, minus]), [['x', 1, 1]], name)
  assert.deepEqual(changesOf('write_file', { path: 'x', content: 'a\nb\n' }).map(({ how, plus }) => [how, plus]), [['new', 2]])
  for (const args of [null, 1, 'x', [], {}, { path: 1 }, { edits: 'x' }, { edits: [null, 1] }, { changes: [null] }, { patch: 7 }]) assert.equal(changesOf('edit', args), null)
  assert.equal(changesIn('plain'), null)
})

const field = (rules, needed = []) => fieldsOf({ type: 'object', properties: { it: rules }, required: needed })[0]

test('schemas become fields, the needed ones first and in their order', () => {
  const fields = fieldsOf({ properties: { a: { type: 'string' }, b: { type: 'integer' }, c: { enum: ['x'] } }, required: ['c', 'b'] })
  assert.deepEqual(fields.map(({ name, kind, required }) => [name, kind, required]), [['c', 'choice', true], ['b', 'integer', true], ['a', 'text', false]])
  assert.deepEqual(fieldsOf({ type: 'boolean' }).map(({ name, kind }) => [name, kind]), [['value', 'yesno']])
  for (const odd of [null, 1, {}, { type: 'object' }]) assert.deepEqual(fieldsOf(odd), [])
  assert.equal(fieldsOf({ properties: { x: null, y: 7 } }).length, 2)
})

test('choices have the names that people are to read', () => {
  assert.deepEqual(field({ enum: ['a', 'b'], enumNames: ['A', 'B'] }).options, [{ value: 'a', title: 'A' }, { value: 'b', title: 'B' }])
  assert.deepEqual(field({ oneOf: [{ const: 1, title: 'One' }] }).options, [{ value: 1, title: 'One' }])
  const many = field({ type: 'array', items: { enum: ['a', 'b'] }, minItems: 1 })
  assert.equal(many.kind, 'choices')
  assert.match(read(many, [])[1], /at least 1|^$/)
})

test('values are read and judged', () => {
  const cases = [
    [{ type: 'integer', minimum: 1, maximum: 5 }, '3', 3, ''], [{ type: 'integer', minimum: 1 }, '0', 0, /at least 1/], [{ type: 'integer' }, '1.5', 1.5, /whole/],
    [{ type: 'number' }, '1,5', 1.5, ''], [{ type: 'number' }, 'x', undefined, /number/], [{ type: 'number', multipleOf: 0.1 }, '0.3', 0.3, ''],
    [{ type: 'string', format: 'email' }, 'a@b', 'a@b', ''], [{ type: 'string', format: 'email' }, 'ab', 'ab', /email/], [{ type: 'string', format: 'uri' }, 'x y', 'x y', /address/],
    [{ type: 'string', format: 'date' }, '2026-01-31', '2026-01-31', ''], [{ type: 'string', minLength: 3 }, 'ab', 'ab', /3 characters/], [{ type: 'string', maxLength: 1 }, '😀', '😀', ''],
    [{ type: 'string', pattern: '^[a-z]+$' }, 'A', 'A', /match/], [{ type: 'string', pattern: '(' }, 'A', 'A', ''], [{ type: 'string', pattern: '(a+)+$' }, `${'a'.repeat(40)}!`, `${'a'.repeat(40)}!`, ''],
    [{ type: 'object' }, '{"a":1}', { a: 1 }, ''], [{ type: 'object' }, '{', undefined, /JSON/], [{ type: 'array', items: { type: 'string' } }, 'a\n\n b ', ['a', 'b'], ''],
  ]
  for (const [rules, raw, value, wrong] of cases) {
    const [got, why] = read(field(rules), raw)
    assert.deepEqual(got, value, JSON.stringify(rules))
    wrong === '' ? assert.equal(why, '') : assert.match(why, wrong)
  }
  assert.deepEqual(read(field({ type: 'string' }), ''), [undefined, ''])
  assert.match(read(field({ type: 'string' }, ['it']), '')[1], /needed/)
})

test('what changes do not show whole is not called shown', () => {
  const whole = (args, name = 'edit') => changing(name, args).shown.filter(Boolean)
  const pair = { oldText: 'a', newText: 'b' }
  assert.deepEqual(whole({ path: 'x', file_path: 'y', edits: [pair] }), ['path', 'edits'])
  assert.deepEqual(whole({ path: 'x', edits: [{ ...pair, path: 'y' }] }), ['path'])
  assert.deepEqual(whole({ path: 'x', edits: [pair, { other: 'y' }] }), ['path'])
  assert.deepEqual(whole({ path: 'x', edits: [pair, 'y'] }), ['path'])
  assert.deepEqual(whole({ path: 'x', ...pair, new_str: 'c', to: 'y' }), ['path', 'oldText', 'newText'])
  assert.deepEqual(whole({ path: 'x', content: 'a', mode: '777' }, 'write_file'), ['path', 'content'])
  assert.deepEqual(whole({ patch: '--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n', diff: 'y' }), ['patch'])
  assert.deepEqual(whole({ patch: 'rm -rf /\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n' }), [])
  assert.deepEqual(whole({ input: '*** Begin Patch\n*** Update File: x\n@@\n-a\n+b\n*** End Patch' }), ['input'])
  assert.deepEqual(whole({ input: '*** Begin Patch\n*** Update File: x\n@@\n-a\n+b\nodd\n*** End Patch' }), [])
  assert.deepEqual(whole({ input: '*** Begin Patch\n*** Odd File: y\n*** Update File: x\n@@\n-a\n+b\n*** End Patch' }), [])
  assert.deepEqual(whole({ changes: [{ path: 'x', kind: 'update', diff: '@@ -1 +1 @@\n-a\n+b\n' }] }), ['changes'])
  assert.deepEqual(whole({ changes: [{ path: 'x', kind: 'update', diff: '@@ -1 +1 @@\n-a\n+b\n', move_path: 'y' }] }), [])
})

test('a command is that of one argument, word by word', () => {
  assert.equal(commandOf('shell', { cmd: 'ls', command: 'rm' }), 'ls')
  assert.equal(commandOf('exec_command', { command: ['bash', '-lc', 'ls -l'] }), 'ls -l')
  assert.equal(commandOf('exec_command', { command: ['rm', 'a b', "c'd"] }), "rm 'a b' 'c'\\''d'")
  assert.equal(commandOf('shell', { cmd: 7, script: 'x' }), 'x')
  for (const args of [null, [], {}, { command: 'x' }, { cmd: 1 }]) assert.equal(commandOf('other', args), null)
})

test('what is not seen is said, and pictures stay whole', () => {
  assert.equal(seen('a\u202eb\u200bc\u001b[2Jd\re\u00a0f\u{e0041}g\u2028h\u2800'), 'aU+202EbU+200BcESC[2JdCReU+00A0fU+E0041gU+2028hU+2800')
  for (const plain of ['', 'ls -l\n\tx', 'é 日本 ß', '❤\ufe0f 👩\u200d🔬 👍🏽', '𝒳']) assert.deepEqual(revealed(plain), [{ text: plain, odd: false }])
  assert.equal(seen('rm\u200d\ufe0f x'), 'rmU+200DU+FE0F x')
  assert.equal(seen('\ud800'), 'U+D800')
})

// -- what somebody sends to keep the page from its work -----------------------------------------------------------------

const soon = (work) => {
  const began = performance.now()
  const made = work()
  assert.ok(performance.now() - began < 2_000)
  return made
}

test('arguments that are nested without end are no object, and cost little', () => {
  for (const text of ['['.repeat(190_000), '{"a":'.repeat(30_000), '{"a":1,"b":'.repeat(15_000)]) assert.equal(soon(() => loose(text)), null)
  const whole = `{"path":${'['.repeat(20_000)}${']'.repeat(20_000)}}`
  assert.equal(loose(whole), null)
  assert.equal(soon(() => summed('view', whole)).verb, 'View')
  assert.deepEqual(loose(`{"a":"${'['.repeat(1_000)}\\"{{{"}`), { a: `${'['.repeat(1_000)}"{{{` })
})

test('what has come of arguments so far is shown', () => {
  const cut = { '{"a":1,"b":[1,{"c":"d': { a: 1, b: [1, { c: 'd' }] }, '{"a': {}, '[1,2,{"x":tru': [1, 2, {}], '{"a":"x\\u00': { a: 'x' }, '{"a":{"b":[1]},"c"': { a: { b: [1] } } }
  for (const [text, value] of Object.entries(cut)) assert.deepEqual(loose(text), value, text)
})

test('of a line that was written anew the last is shown, however long it is', () => {
  const shows = (text) => ansi(text).map((piece) => piece.text).join('')
  const lines = { 'a\rb\n': 'b\n', 'a\r\nb\r\r\n': 'a\nb\n', '10%\r20%\r\n': '20%\n', 'a\r\rb': 'b', '\r': '', 'x\n\ry\r': 'x\ny' }
  for (const [text, shown] of Object.entries(lines)) assert.equal(shows(text), shown, JSON.stringify(text))
  assert.equal(soon(() => shows(`\r\n${'x'.repeat(500_000)}`)).length, 500_001)
  assert.equal(soon(() => shows(`${'\r'.repeat(500_000)}x`)), 'x')
})

test('a pattern that may take for ever is left to the server', () => {
  const text = `${'a'.repeat(40)}!`
  for (const pattern of ['^(a|a)*$', '^(a+)+$', '^(?:a|aa)+$', '(a|a)'.repeat(30) + '$', '(a?){40}a{40}$', 'a*'.repeat(20) + '$', '([)]|a|a)*$']) assert.equal(soon(() => read(field({ pattern }), text)[1]), '', pattern)
  for (const pattern of ['^\\d+\\.\\d+\\.\\d+$', '^\\d{4}-\\d{2}$', '^(main|dev)$', '^(feat|fix)(\\(.+\\))?: .+$', '^[a-z][a-z0-9-]{1,38}$']) assert.notEqual(read(field({ pattern }), 'A!')[1], '', pattern)
})
