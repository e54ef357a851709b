/** How the server is: what runs, what it stands on, what is wrong with it. */

import { effect, fill, h, keyed, scope } from './dom.js'
import { icon, toMore } from './icons.js'
import { bar } from './jobs.js'
import * as store from './store.js'
import { worded } from './toast.js'
import { bytes, moment, some, span } from './words.js'

const AGAIN = 10_000
const SLOW = 25 // milliseconds; a disk that takes longer to keep something slows every session down
const FULL = 0.05 // of a disk; with less left it is said

/** Mount the view. */
export function mountHealth(root, { api, live }) {
  const stop = new AbortController()
  const wrong = h('div', { class: 'stack' })
  const tiles = h('div', { class: 'tiles' })
  const jobs = h('div', { class: 'stack' })
  const none = h('p', { class: 'why' }, 'Nothing that takes long goes on.')
  const place = h('div', { class: 'stack roomy' })
  fill(root, h('div', { class: 'page' }, h('div', { class: 'topline' }, toMore(), h('h1', {}, 'Health')), h('div', { class: 'scroll' }, h('div', { class: 'sheet' },
    wrong, tiles, h('section', { class: 'section' }, h('h2', {}, 'Jobs'), none, jobs), place))))
  const [, end] = scope(() => {
    effect(() => {
      keyed(jobs, store.jobs.value, ({ id }) => id, bar, (node, job) => node.$paint(job))
      none.hidden = store.jobs.value.length > 0
    })
    effect(() => fill(tiles, counts(store.rows.value)))
  })
  let timer = 0
  let lost = false // whether it could not be asked
  const look = async () => {
    clearTimeout(timer)
    try {
      const found = await api.get('/web/health', { signal: stop.signal, tries: 1 })
      lost = false
      fill(wrong, troubles(found))
      fill(place, about(found), clis(found.clis))
    } catch (error) {
      if (stop.signal.aborted) return
      lost = true
      fill(wrong, note('red', worded(error, 'ask the server how it is')))
    }
    timer = setTimeout(look, AGAIN)
  }
  look()
  const heed = live.on('state', ({ state }) => { if (state === 'open' && lost) look() })
  return { unmount: () => { stop.abort(); clearTimeout(timer); heed(); end() } }
}

/** What runs, by the list that everybody reads. */
function counts(rows) {
  const all = [...(rows?.values() ?? [])]
  const of = (...states) => all.filter(({ state }) => states.includes(state)).length
  const tile = (number, label, kind = '', href = '#/') => h('a', { class: ['tile', number > 0 && kind], href }, h('b', {}, number.toLocaleString()), h('span', {}, label))
  return [tile(of('running', 'queued'), 'running', 'green'), tile(store.waits.peek().length, 'waiting for you', 'amber', '#/inbox'), tile(of('failed'), 'failed', 'red'), tile(all.length, 'sessions')]
}

const note = (kind, ...words) => h('div', { class: ['note', kind], role: kind === 'red' ? 'alert' : null }, icon('warn'), h('div', {}, words))

function troubles({ ready, error, agents, disks = [], database, sandbox }) {
  const full = disks.filter(({ free, total }) => total > 0 && free / total < FULL)
  return [
    !ready && note('red', h('strong', {}, 'The server can’t do its work.'), h('p', {}, error || 'Its log says why.')),
    full.map(({ path, free }) => note('amber', h('strong', {}, `Only ${bytes(free)} are left on the disk of ${path}.`), h('p', {}, 'When it is full, no session can go on.'))),
    database?.fsync_ms > SLOW && note('amber', h('strong', {}, `The database’s disk is slow: ${Math.round(database.fsync_ms)} ms to keep something.`), h('p', {}, 'A local disk takes a few.')),
    agents.broken.length > 0 && note('amber', h('strong', {}, `${some(agents.broken.length, 'agent file')} did not load.`), agents.broken.map((line) => h('p', {}, line))),
    sandbox?.trouble && note('', h('strong', {}, 'There is no sandbox here.'), h('p', {}, sandbox.trouble)),
  ]
}

function about({ version, host, started_at: started, uptime, database, sandbox, disks = [], agents, devices, push, webhook }) {
  const rows = [
    ['Version', version],
    ['Host', host],
    ['Up for', h('span', { title: new Date(moment(started)).toLocaleString() }, span(uptime))],
    database && ['Database', [h('code', {}, database.path), ` · ${bytes(database.bytes)} · fsync ${milliseconds(database.fsync_ms)}`]],
    ...disks.map(({ path, free, total }) => ['Disk', [h('code', {}, path), ` · ${bytes(free)} free of ${bytes(total)}`]]),
    sandbox && ['Sandbox', sandbox.trouble ? 'none' : sandbox.kind],
    ['Agent files', String(agents.served)],
    ['Devices', String(devices)],
    ['Tells who waits', [push && 'browsers', webhook && 'a webhook'].filter(Boolean).join(', ') || 'nobody'],
  ]
  return h('section', { class: 'section' }, h('h2', {}, 'Server'), h('dl', { class: 'facts' }, rows.filter(Boolean).map(([name, value]) => [h('dt', {}, name), h('dd', {}, value)])))
}

const milliseconds = (ms) => `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`

function clis(all) {
  if (!all.length) return null
  const found = [...all].sort((a, b) => b.found - a.found)
  return h('section', { class: 'section' }, h('h2', {}, 'Agent CLIs'), h('ul', { class: 'devices' }, found.map((cli) => h('li', { class: 'device' },
    icon(cli.found ? 'check' : 'close'), h('span', {}, h('strong', {}, cli.provider), h('span', { class: 'why mono' }, cli.found ? cli.path || cli.program : `${cli.program} is not installed`))))))
}
