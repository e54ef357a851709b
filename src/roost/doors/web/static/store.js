/** What every part of the page reads: the sessions, what waits, what runs long, and how the line is. */

import { api, part } from './api.js'
import { signal } from './dom.js'

const MOST = 2000
const PATIENCE = 2_500 // after so long the list is read though the line is not there

/** Who we are here, and where: what /web/session says. */
export const session = signal(null)
/** Every session as a full row of the list; null until it is known. */
export const rows = signal(null)
/** All that waits for a person, oldest first. */
export const waits = signal([])
/** What takes long on the server. */
export const jobs = signal([])
/** The state of the line. */
export const line = signal({ state: 'closed', since: 0, seen: 0, retry: 0 })
/** What the server said of itself at the beginning of the line. */
export const server = signal(null)
/** Which sessions are hidden, since they are about to be deleted. */
export const hidden = signal(new Set())
/** Why the list could not be read, or null. */
export const trouble = signal(null)

/** Keep all of it fresh over the line.  Returns what ends that. */
export function tend(live) {
  const late = setTimeout(() => { if (rows.peek() === null) load() }, PATIENCE)
  const ends = [
    () => clearTimeout(late),
    live.on('row', (row) => put(row)),
    live.on('gone', (id) => drop(id)),
    live.on('waits', (all) => { waits.value = all }),
    live.on('jobs', (all) => { jobs.value = all }),
    live.on('hello', (hello) => { server.value = hello; over.clear(); load({ anew: true }) }), // what changed while we were away comes whole
    live.on('state', (state) => { line.value = state; seen(state) }),
  ]
  return () => ends.forEach((end) => end())
}

const SEEN = 'roost.seen'

/** When the server was there last, as far as this browser knows; 0 for never. */
export function lastSeen() {
  try {
    return Number(localStorage.getItem(SEEN)) || 0
  } catch {
    return 0
  }
}

function seen(state) {
  const at = state.state === 'open' ? Date.now() : state.seen
  try {
    if (at) localStorage.setItem(SEEN, String(at))
  } catch {
    // a browser that keeps nothing
  }
}

let fresh = new Map() // rows that came over the line while the list was being read
let loading = null
const over = new Set() // sessions that were deleted: a row that was read before may come over the line all the same
let reading = 0 // which reading counts: of an older one the answer may be older than what the line has told, or another's

/** Read the list; where it is being read already, that will do, unless it has to be read `anew`. */
export function load({ anew = false } = {}) {
  if (loading === null || anew) {
    const mine = read(++reading).finally(() => { if (loading === mine) loading = null })
    loading = mine
  }
  return loading
}

async function read(mine) {
  fresh = new Map()
  try {
    const all = await api.get('/api/sessions', { query: { detail: 'full', limit: MOST }, tries: line.peek().state === 'open' ? 3 : 1 })
    if (mine !== reading) return
    const known = new Map((all ?? []).map((row) => [row.id, row]))
    for (const id of over) known.delete(id)
    for (const [id, row] of fresh) row === null ? known.delete(id) : known.set(id, row)
    rows.value = known
    trouble.value = null
  } catch (error) {
    if (mine === reading) trouble.value = error
  }
}

function put(row) {
  if (over.has(row.id)) return
  fresh.set(row.id, row)
  if (rows.peek() === null) return
  rows.peek().set(row.id, row)
  rows.touch()
}

function drop(id) {
  over.add(id)
  fresh.set(id, null)
  if (rows.peek() === null) return
  rows.peek().delete(id)
  rows.touch()
}

/** Change a row here before the server has said so; what it says comes over the line. */
export function guess(id, changes) {
  const row = rows.peek()?.get(id)
  if (row) put({ ...row, ...changes })
}

/** Whoever comes next is somebody else: nothing is left of what was here. */
export function forget() {
  reading += 1
  loading = null
  rows.value = null
  waits.value = []
  jobs.value = []
  server.value = null
  over.clear()
}

/** One row, or null. */
export const row = (id) => rows.value?.get(id) ?? null

/** Hide a session, and delete it a little later: `undo` brings it back, and leaving the page deletes it at once. */
export function remove(id, after) {
  const hide = (on) => {
    const all = new Set(hidden.peek())
    on ? all.add(id) : all.delete(id)
    hidden.value = all
  }
  let done = false
  const act = (how) => {
    if (done) return null
    done = true
    removeEventListener('pagehide', now)
    return how ? api.delete(`/api/sessions/${part(id)}`, { keepalive: how === 'now' }) : null
  }
  const now = () => act('now')
  hide(true)
  addEventListener('pagehide', now)
  return {
    undo() { act(''); hide(false) },
    async go() {
      try {
        await act('later')
        drop(id)
      } catch (error) {
        if (error.status === 404) drop(id)
        else after(error)
      } finally {
        hide(false)
      }
    },
  }
}
