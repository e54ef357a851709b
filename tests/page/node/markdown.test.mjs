// Markdown as models write it: what it means, and that any text is taken in time that grows with its length.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { coloured } from '../../../src/roost/doors/web/static/colours.js'
import { elsewhere } from '../../../src/roost/doors/web/static/inlines.js'
import { parse } from '../../../src/roost/doors/web/static/markdown.js'
import { ansi, loose } from '../../../src/roost/doors/web/static/text.js'

/** A tree as HTML, for reading in this file alone. */
function html(blocks) {
  return blocks.map((block) => {
    switch (block.kind) {
      case 'heading': return `<h${block.level}>${inline(block.inline)}</h${block.level}>`
      case 'paragraph': return `<p>${inline(block.inline)}</p>`
      case 'code': return `<pre${block.lang ? ` ${block.lang}` : ''}>${block.text}</pre>`
      case 'quote': return `<q>${html(block.blocks)}</q>`
      case 'rule': return '<hr>'
      case 'list': return `<${block.ordered ? `ol ${block.start}` : 'ul'}>${block.items.map((item) => `<li${item.task === null ? '' : item.task ? ' x' : ' o'}>${block.tight ? html(item.blocks).replace(/<\/?p>/g, '') : html(item.blocks)}</li>`).join('')}</${block.ordered ? 'ol' : 'ul'}>`
      case 'table': return `<table ${block.align.join(',')}>${[block.head, ...block.rows].map((row) => `<tr>${row.map((cell) => `<td>${inline(cell)}</td>`).join('')}</tr>`).join('')}</table>`
    }
  }).join('')
}

function inline(nodes) {
  return nodes.map((node) => {
    switch (node.kind) {
      case 'text': return node.text
      case 'code': return `<c>${node.text}</c>`
      case 'break': return '<br>'
      case 'link': return `<a ${node.href}>${inline(node.inside)}</a>`
      case 'place': return `<n>${inline(node.inside)}</n>`
      default: return `<${node.kind}>${inline(node.inside)}</${node.kind}>`
    }
  }).join('')
}

const CASES = [
  ['# One\n## Two ##\n####### seven', '<h1>One</h1><h2>Two</h2><p>####### seven</p>'],
  ['Title\n===\nSub\n---', '<h1>Title</h1><h2>Sub</h2>'],
  ['*a* _b_ **c** __d__ ***e*** ~~f~~', '<p><em>a</em> <em>b</em> <strong>c</strong> <strong>d</strong> <em><strong>e</strong></em> <del>f</del></p>'],
  ['snake_case_name 2 * 3 * 4 ~ok~', '<p>snake_case_name 2 * 3 * 4 ~ok~</p>'],
  ['**bold *both* end** and *open', '<p><strong>bold <em>both</em> end</strong> and *open</p>'],
  ['`a*b*` ``x ` y`` `open', '<p><c>a*b*</c> <c>x ` y</c> `open</p>'],
  ['\\*not\\* \\_em\\_ &amp; &lt;b&gt; &copy;', '<p>*not* _em_ & <b> ©</p>'],
  ['a  \nb\\\nc\nd', '<p>a  <br>b<br>c\nd</p>'],
  ['[x](https://a.b "t") [y](<https://c.d/e f>) [z](javascript:alert(1)) [r](src/x.py)', '<p><a https://a.b>x</a> <a https://c.d/e f>y</a> <n>z</n> <n>r</n></p>'],
  ['![alt](https://a.b/c.png) <https://x.y> me@x.y <me@x.y>', '<p><a https://a.b/c.png>alt</a> <a https://x.y>https://x.y</a> me@x.y <a mailto:me@x.y>me@x.y</a></p>'],
  ['See https://a.b/c_(d). And (www.e.f)!', '<p>See <a https://a.b/c_(d)>https://a.b/c_(d)</a>. And (<a https://www.e.f>www.e.f</a>)!</p>'],
  ['[a **b** `c`](https://d)', '<p><a https://d>a <strong>b</strong> <c>c</c></a></p>'],
  ['<script>alert(1)</script> <b>x</b>', '<p><script>alert(1)</script> <b>x</b></p>'],
  ['- a\n- b\n  - c\n    more\n- [ ] d\n- [x] e', '<ul><li>a</li><li>b<ul><li>c\nmore</li></ul></li><li o>d</li><li x>e</li></ul>'],
  ['1. a\n2. b\n\n   two\n3. c', '<ol 1><li><p>a</p></li><li><p>b</p><p>two</p></li><li><p>c</p></li></ol>'],
  ['3) x\n4) y\n* z', '<ol 3><li>x</li><li>y</li></ol><ul><li>z</li></ul>'],
  ['- a\n\n      code\n- ```js\n  x\n  ```', '<ul><li><p>a</p><pre>code</pre></li><li><pre js>x</pre></li></ul>'],
  ['text\n- item', '<p>text</p><ul><li>item</li></ul>'],
  ['The year\n1984. was', '<p>The year\n1984. was</p>'],
  ['> a\n> > b\nlazy\n\nout', '<q><p>a</p><q><p>b\nlazy</p></q></q><p>out</p>'],
  ['```py\na = 1\n\n  b\n```\nend', '<pre py>a = 1\n\n  b</pre><p>end</p>'],
  ['~~~\n```\n~~~', '<pre>```</pre>'],
  ['```\nnever ended', '<pre>never ended</pre>'],
  ['    indented\n      more\n\ntext', '<pre>indented\n  more</pre><p>text</p>'],
  ['---\n***\n- - -', '<hr><hr><hr>'],
  ['| a | b |\n|---|:-:|\n| 1 | `x|y` |\n| 2 | x\\|y |\n| 3 |\n\nend', '<table ,center><tr><td>a</td><td>b</td></tr><tr><td>1</td><td><c>x|y</c></td></tr><tr><td>2</td><td>x|y</td></tr><tr><td>3</td><td></td></tr></table><p>end</p>'],
  ['a | b\nno table', '<p>a | b\nno table</p>'],
]

for (const [source, wanted] of CASES) test(JSON.stringify(source).slice(0, 60), () => assert.equal(html(parse(source)), wanted))

test('only addresses of the web and of mail become links', () => {
  for (const href of ['javascript:alert(1)', 'JaVaScRiPt:x', 'data:text/html,x', 'vbscript:x', 'file:///etc/passwd', '//x.y', 'java\nscript:x', '\u0001https://x']) {
    assert.doesNotMatch(html(parse(`[x](${href}) [y](<${href}>) <${href}>`)), /<a (?!https:\/\/x)/, href)
  }
})

// A generator that is the same each time.
function dice(seed) {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state % below
  }
}

const PIECES = ['*', '**', '_', '__', '~~', '`', '``', '```', '\n', '\n\n', '> ', '- ', '1. ', '[', ']', '](', ')', '(', '<', '>', '!', '![', '|', '|---|\n', '\\', '#', '# ', '    ', '\t', 'a', 'b c', 'https://x.y/', 'www.', '&amp;', '&#', 'é', '\ud83d\ude00', '\ud800', '\0', '"', ':', '[x] ', '---', '===', '  \n', '\r\n', '\u00a0']

test('any text is taken, and every character of a word comes out', () => {
  for (let seed = 1; seed <= 3000; seed++) {
    const roll = dice(seed)
    const source = Array.from({ length: roll(60) }, () => PIECES[roll(PIECES.length)]).join('')
    const blocks = parse(source)
    const words = (html(blocks).match(/é/g) ?? []).length
    assert.equal(words >= (source.match(/é/g) ?? []).length - (source.match(/\|/g) ?? []).length - (source.match(/[`~]{3}/g) ?? []).length * 3 - (source.match(/\]\(/g) ?? []).length * 9, true, JSON.stringify(source))
  }
})

test('a text in growth is the same as a whole one, but for its last block', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const roll = dice(seed)
    const source = Array.from({ length: roll(40) }, () => PIECES[roll(PIECES.length)]).join('')
    const lines = source.replace(/\r\n?/g, '\n').split('\n')
    const whole = parse(source)
    if (whole.length < 2) continue
    const cut = whole.at(-1).line
    const before = parse(lines.slice(0, cut).join('\n'))
    const after = parse(lines.slice(cut).join('\n'))
    assert.deepEqual(html([...before, ...after]), html(whole), JSON.stringify(source))
  }
})

const HOSTILE = ['*', '**a ', '_a', '[', '![', '](', '[a](', '[](', '<', '<a', '`', '``a', '> ', '- ', '  - ', '1. ', '|', '|a', '\\', '#', '# #', '~~a', '*a_', '**a*', '&', '&#1', 'https://', '[https://a.b ', 'www.a', '(', '"', ' ', '\t', '\n', '- a\n', '> a\n', 'a\n', '    a\n', '-|', ':-', '```\n', '~~~\n', '***a', '*a **b ', '_*', '[[a]', '<a@', '- \n', '\n\n', '=\n', 'a\n=\n', 'x  \n', '![a](b']

test('no text takes longer than its length explains', () => {
  for (const piece of HOSTILE) {
    for (const [head, tail] of [['', ''], ['- x\n', ''], ['|a|b|\n', '\n'], ['', ']'.repeat(3000)], ['', '*'.repeat(3000)]]) {
      const source = head + piece.repeat(Math.ceil(40_000 / piece.length)) + tail
      const begun = process.hrtime.bigint()
      parse(source)
      const took = Number(process.hrtime.bigint() - begun) / 1e6
      assert.ok(took < 4_000, `${JSON.stringify(head + piece)} took ${Math.round(took)} ms`)
    }
  }
})

test('colours leave the text as it is, and take their time from its length', () => {
  const code = 'def f(x): # "c"\n  return "a\\"b" + \'c\' + 12.5e3 /* x */ // y\n`t` """d\n"""'
  for (const lang of ['python', 'js', 'sh', 'sql', 'diff', 'css', 'json', 'nobody', '', 'constructor']) {
    assert.equal(coloured(code, lang).map(({ text }) => text).join(''), code, lang)
  }
  for (const piece of ['"', "'", '/*', '#', '"\\', '"""', '`', 'a1', '1.', '\\']) coloured(piece.repeat(20_000), 'python')
})

test('escapes of terminals become classes, and the rest goes', () => {
  assert.deepEqual(ansi('a\u001b[1;31mb\u001b[0mc\u001b[2Kd\u001b]0;title\u0007e'), [
    { text: 'a', class: '' }, { text: 'b', class: 't-bold t-red' }, { text: 'c', class: '' }, { text: 'd', class: '' }, { text: 'e', class: '' }])
  assert.equal(ansi('10%\r50%\r100%\nx').map(({ text }) => text).join(''), '100%\nx')
  assert.equal(ansi('\u001b[38;5;1mr\u001b[38;2;1;2;3mg\u001b[').map(({ text }) => text).join(''), 'rg')
})

test('arguments can be read before they are whole', () => {
  const whole = JSON.stringify({ path: 'a.py', edits: [{ oldText: 'x "y"\n', newText: 'é' }], n: 12, yes: true })
  for (let end = 0; end <= whole.length; end++) {
    const found = loose(whole.slice(0, end))
    if (end > 15) assert.equal(found.path, 'a.py')
  }
  assert.deepEqual(loose(whole), JSON.parse(whole))
  assert.equal(loose('not json'), null)
})

test('a link whose words name another host says where it leads', () => {
  const host = (text) => elsewhere(parse(text)[0].inline[0])
  assert.equal(host('[https://bank.example](https://evil.test/bank.example)'), 'evil.test')
  assert.equal(host('[**bank**.example](https://evil.test)'), 'evil.test')
  assert.equal(host('https://bank.example@evil.test/'), 'evil.test')
  assert.equal(host('<https://bank.example@evil.test/>'), 'evil.test')
  for (const fine of ['https://bank.example/x', '[bank.example](https://www.bank.example/x)', '[our bank](https://bank.example)', 'www.bank.example', '[me@bank.example](mailto:me@bank.example)']) assert.equal(host(fine), '', fine)
})

test('no link leads into the page or to a program', () => {
  for (const bad of ['javascript:alert(1)', 'JaVaScRiPt:alert(1)', 'java\tscript:alert(1)', '&#106;avascript:alert(1)', 'data:text/html,x', 'vbscript:x', '\u0001javascript:x', 'file:///etc/passwd', '//evil.test', 'blob:x', 'https:', 'http://"onclick="x']) {
    for (const text of [`[x](${bad})`, `![x](${bad})`, `<${bad}>`, `[x](<${bad}>)`]) {
      for (const block of parse(text)) for (const node of block.inline) assert.ok(node.kind !== 'link' || /^(https?:\/\/|mailto:)[^"<>\s]/i.test(node.href), text)
    }
  }
})

test('a table of many columns and long lines costs no more than its text', () => {
  const began = performance.now()
  const [table] = parse(`|${'a|'.repeat(900)}\n|${'-|'.repeat(900)}\n${`${'b'.repeat(40_000)}|c\n`.repeat(25)}`)
  assert.deepEqual([table.rows.length, table.rows[0].length, table.rows[24][1]], [25, 900, [{ kind: 'text', text: 'c' }]])
  assert.ok(performance.now() - began < 2_000)
})

test('the words of a link may be as long as they like', () => {
  const began = performance.now()
  for (const words of ['a'.repeat(200_000), '1.1e'.repeat(50_000), '-_'.repeat(100_000), 'a.'.repeat(100_000)]) {
    assert.equal(elsewhere({ href: 'https://evil.test', inside: [{ text: words }] }), '')
    assert.equal(elsewhere({ href: 'https://evil.test', inside: [{ text: `${words} www.bank.example` }] }), 'evil.test')
  }
  assert.ok(performance.now() - began < 2_000)
})
