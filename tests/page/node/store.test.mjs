// What the page knows of all sessions: whoever answers late says nothing that is no longer so.
import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'

import * as store from '../../../src/roost/doors/web/static/store.js'

const asked = [] // requests for the list that have not been answered
globalThis.fetch = () => new Promise((answer) => asked.push((rows) => answer(new Response(JSON.stringify(rows)))))
globalThis.localStorage = { getItem: () => null, setItem() {} }

const row = (id, title = '') => ({ id, title })
const titles = () => store.rows.peek() && Object.fromEntries([...store.rows.peek()].map(([id, { title }]) => [id, title]))
const settled = () => new Promise((done) => setTimeout(done, 5))

function line() {
  const listeners = {}
  return { on: (word, told) => { listeners[word] = told; return () => {} }, tell: (word, value) => listeners[word](value) }
}

afterEach(() => {
  store.forget()
  for (const answer of asked.splice(0)) answer([])
})

test('what comes over the line while the list is read is newer than the list', async () => {
  const live = line()
  const end = store.tend(live)
  live.tell('hello', {})
  live.tell('row', row('a', 'new'))
  live.tell('gone', 'b')
  asked[0]([row('a', 'old'), row('b'), row('c')])
  await settled()
  assert.deepEqual(titles(), { a: 'new', c: '' })
  end()
})

test('a line that comes back has the list read anew, though it is being read', async () => {
  const live = line()
  const end = store.tend(live)
  live.tell('hello', {})
  live.tell('hello', {}) // the line was cut, and is back: what changed meanwhile nobody has said
  assert.equal(asked.length, 2)
  asked[1]([row('a', 'new')])
  await settled()
  asked[0]([row('a', 'old')])
  await settled()
  assert.deepEqual(titles(), { a: 'new' })
  end()
})

test('the list of somebody who has left is not shown to whoever comes next', async () => {
  store.load()
  store.forget()
  asked[0]([row('a', 'Ann’s')])
  await settled()
  assert.equal(store.rows.peek(), null)
  store.load()
  assert.equal(asked.length, 2)
  asked[1]([row('b', 'Bob’s')])
  await settled()
  assert.deepEqual(titles(), { b: 'Bob’s' })
})

test('who asks for the list while it is read waits for that', () => {
  assert.equal(store.load(), store.load())
  assert.equal(asked.length, 1)
})
