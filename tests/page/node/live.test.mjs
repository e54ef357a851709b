// The line of a page: what it has told before it was cut does not outlive it.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Live } from '../../../src/roost/doors/web/static/live.js'

globalThis.addEventListener = globalThis.removeEventListener = () => {}
globalThis.navigator ??= { onLine: true }
globalThis.document = { addEventListener() {}, removeEventListener() {}, hidden: false }

function opened() {
  const sockets = []
  const make = () => {
    const socket = { readyState: 1, sent: [], send: (text) => socket.sent.push(JSON.parse(text)), close() {} }
    sockets.push(socket)
    return socket
  }
  const live = new Live({ url: 'ws://test', make }).open()
  const say = (...items) => sockets.at(-1).onmessage({ data: JSON.stringify(items) })
  return { live, sockets, say, cut: () => { sockets.at(-1).onclose(); live.retry() } }
}

test('what took long before the line was cut does not take long for ever', () => {
  const { live, say, cut } = opened()
  const told = []
  live.on('jobs', (jobs) => told.push(jobs.map(({ id }) => id)))
  say({ hello: { version: '1' } }, { jobs: [{ id: 'pull' }] })
  assert.deepEqual(told.at(-1), ['pull'])
  cut()
  say({ hello: { version: '1' } })
  assert.deepEqual(told.at(-1), [])
  live.close()
})

test('events go on where the line was cut, and those of before are not heard', () => {
  const { live, sockets, say, cut } = opened()
  const heard = []
  live.follow('s', 3, (items) => heard.push(...items.map(({ id }) => id)))
  sockets[0].onopen()
  say({ session: 's', id: 9, event: {} }) // of an older following: not what was asked for
  say({ following: 's', since: 3 }, { session: 's', id: 4, event: {} }, { session: 's', id: 5, event: null })
  cut()
  sockets[1].onopen()
  assert.deepEqual(sockets[1].sent, [{ follow: 's', since: 5 }])
  say({ following: 's', since: 5 }, { session: 's', id: 5, event: {} }, { session: 's', id: 6, event: {} })
  assert.deepEqual(heard, [4, 6])
  live.close()
})
