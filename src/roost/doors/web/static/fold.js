/** A session as a fold of its snapshot and its frames: all that a screen shows of it.  No DOM, no network. */

import { ON } from './happenings.js'
import { loose } from './text.js'

const DELEGATES = /^(transfer_task|run_background_agent|task|agent)$/i

/**
 * @typedef {object} Row
 * @property {string} key        never changes, never used twice
 * @property {string} kind       user | answer | call | sub | note | status | compaction | summary | handover | plan
 * @property {string} thread     the id of the (sub-)session that it belongs to
 *
 * What the kinds have besides:
 * user: text, parts, id, ordinal, via (steer | followup | '')
 * answer: text, reasoning, streaming, model, id, usage, partial
 * call: call, name, args, draft, state (draft | pending | waiting | running | done | failed | rejected | lost), output, result,
 *   images, wait, answered, changed, definition, agent
 * sub: session; its rows are those of that thread
 * note: level (info | warn | error), text, code
 */

/** One (sub-)session: a list of rows, and where it hangs. */
class Thread {
  constructor(id, parent = null) {
    this.id = id
    this.parent = parent
    this.rows = []
    this.row = null // the `sub` row that stands for it in its parent
    this.agent = ''
    this.title = ''
    this.model = ''
    this.call = ''
    this.state = 'running'
    this.cost = null
    this.usage = null
    this.calls = new Map() // call id -> the newest row of that id
    this.open = new Map() // answer id -> its row, while it comes
  }
}

export class Fold {
  constructor(id) {
    this.id = id
    this.serial = 0
    this.reset()
  }

  /** Forget everything. */
  reset() {
    this.root = new Thread(this.id)
    this.threads = new Map([[this.id, this.root]])
    this.waits = new Map()
    this.places = new Map() // of sub-sessions: what they hang in, as the snapshot has it
    this.settled = new Map() // of waits that are over: what became of them
    this.queue = []
    this.keys = new Set()
    this.orphans = new Map() // results whose calls stand in an older page
    this.cursor = 0
    this.known = 0 // up to this number the snapshot has all messages
    this.first = 0 // the oldest message that is here
    this.more = false
    this.paused = false // whether a CLI has answered, and waits within its turn for what comes next
    this.written = new Map() // messages of which nobody has said yet that they are shown
    this.seen = new Set() // ids of messages
    this.messages = new Map() // message id -> its row
    this.head = {
      title: '', state: 'new', agent: '', source: '', model: '', provider: '', safety: '', permissions: null, starred: false,
      workingDir: '', createdAt: '', team: [], budgets: [], budget: null, treeBudget: null, plan: '', host: '',
      usage: { input: 0, output: 0, context: 0, limit: 0, cost: 0, threshold: 0 },
      treeCost: 0, canceling: false, compacting: false, starting: false, turn: false, rests: false, turns: 0, parent: '', overrides: {}, gone: '', indexing: null, error: '', status: '', detached: false,
    }
    this.changes = fresh()
    this.changes.list = this.changes.head = this.changes.waits = this.changes.queue = true
  }

  // -- what happens -------------------------------------------------------------------------------------------------

  /** Begin with a snapshot (`detail=full`). */
  open(shot) {
    this.reset()
    this.known = shot.last_event_seq ?? 0
    this.cursor = shot.tail_from ?? this.known
    this.more = Boolean(shot.more)
    this.paused = Boolean(shot.streaming) && shot.state === 'idle'
    this.#head(shot)
    this.#history(shot)
    this.#head(shot) // what happened long ago is no news
    this.waits.clear()
    this.settled.clear()
    for (const sub of shot.sub_sessions ?? []) this.thread(sub.id, sub).state = 'running'
    for (const wait of shot.waits ?? []) this.waits.set(wait.id, wait)
    for (const wait of this.waits.values()) this.#await(wait)
    this.queue = (shot.queue ?? []).map(({ indexes = [], messages, ...queued }) => ({ ...queued, messages: messages.map((message, at) => ({ ...message, index: indexes[at] ?? at })) }))
  }

  /** Put an older page before all that is here. */
  older(shot) {
    this.more = Boolean(shot.more)
    const before = new Map([...this.threads.values()].map((thread) => [thread, { rows: thread.rows, calls: thread.calls }]))
    for (const thread of before.keys()) Object.assign(thread, { rows: [], calls: new Map() })
    const { head, waits, settled, written } = this
    const states = new Map([...before.keys()].map((thread) => [thread, thread.state]))
    Object.assign(this, { head: structuredClone(head), waits: new Map(), settled: new Map(), written: new Map() })
    this.#history(shot)
    Object.assign(this, { head, waits, settled, written })
    for (const [thread, state] of states) thread.state = state
    for (const [thread, { rows, calls }] of before) {
      const had = new Set(thread.rows)
      thread.rows = thread.rows.concat(rows.filter((row) => !had.has(row)))
      for (const [id, row] of calls) thread.calls.set(id, row)
    }
    this.changes.list = true
  }

  /** Take in a frame.  One that was here before changes nothing. */
  take(frame, id = 0) {
    if (id !== 0) {
      if (id <= this.cursor) return
      this.cursor = id
    }
    if (frame === null || typeof frame !== 'object') return
    const on = Object.hasOwn(ON, frame.type) ? ON[frame.type] : null
    if (on === null) return
    const replayed = id !== 0 && id <= this.known
    if (replayed && !on.again) return
    on.take(this, frame, id, replayed)
  }

  /** What has changed since this was asked last: keys of rows, and whether the list, the head, waits or the queue did. */
  flush() {
    const changes = this.changes
    this.changes = fresh()
    return changes
  }

  // -- what there is to see -----------------------------------------------------------------------------------------

  /** All rows in the order of the screen, with how deep each is nested; `folded(row)` says whose inside is left out. */
  visible(folded) {
    const shown = []
    const walk = (rows, depth) => {
      for (const row of rows) {
        if (row.sub && this.threads.has(row.sub)) continue
        row.depth = depth
        shown.push(row)
        if (row.kind === 'sub' && !folded(row)) walk(this.threads.get(row.session)?.rows ?? [], depth + 1)
      }
    }
    walk(this.root.rows, 0)
    return shown
  }

  /** What the session is doing, in a word. */
  get state() {
    if (this.head.gone !== '') return 'gone'
    const { state, turn, rests } = this.head
    if (turn && this.waits.size > 0) return 'waiting'
    if (turn) return rests ? 'idle' : state === 'queued' ? 'queued' : 'running'
    return state
  }

  /** Whether a turn is at work, so that messages steer it or follow it. */
  get busy() {
    return ['running', 'waiting', 'queued'].includes(this.state)
  }

  /** The list has said how the session does: of a CLI that rests within its turn, only the list knows. */
  hear(row) {
    const rests = this.head.turn && row.state === 'idle'
    if (rests !== this.head.rests) this.changes.head = true
    Object.assign(this.head, { rests, host: row.host ?? '', name: row.name ?? '', worktree: row.worktree ?? '' })
  }

  // -- what handlers do ---------------------------------------------------------------------------------------------

  /** The thread that a frame is about. */
  threadOf(frame) {
    const sub = frame.session_id
    if (!sub || sub === this.id || !frame.parent_session_id) return this.root
    return this.thread(sub, frame)
  }

  /** A sub-session's thread; the first time with its row in the thread that it hangs in. */
  thread(id, about = {}) {
    let thread = this.threads.get(id)
    if (thread === undefined) {
      const parent = this.threads.get(about.parent_session_id) ?? this.root
      thread = new Thread(id, parent)
      this.threads.set(id, thread)
      thread.row = { key: `s${id}`, kind: 'sub', thread: parent.id, session: id }
      this.insert(parent, thread.row)
    }
    const agent = about.agent || about.agent_name
    if (agent && thread.agent === '') thread.agent = agent
    if (thread.call === '' && (about.tool_call_id || agent)) this.#hang(thread, about.tool_call_id)
    if (about.title && !thread.task) thread.title = about.title
    this.touch(thread.row)
    return thread
  }

  /** A sub-session stands where the call is that it is for.  Where nobody says which, it is the newest that asked its agent. */
  #hang(thread, id) {
    const { rows, calls } = thread.parent
    const asked = (row) => row.kind === 'call' && !row.sub && DELEGATES.test(row.name) && loose(row.args)?.agent === thread.agent
    const call = id ? calls.get(id) : rows.findLast(asked)
    if (call === undefined) return
    call.sub = thread.id
    thread.call = call.call
    this.remove(thread.parent, thread.row)
    this.insert(thread.parent, thread.row, call)
    const task = loose(call.args)?.task
    if (typeof task !== 'string') return
    thread.task = thread.title = task
    thread.rows.unshift({ key: this.#key(`t${thread.id}`), kind: 'user', thread: thread.id, text: task, parts: [], id: 0, via: '', at: '' })
  }

  /** Add a row at the end of a thread. */
  push(thread, row) {
    row.key ??= `x${++this.serial}`
    row.thread = thread.id
    thread.rows.push(row)
    this.changes.list = true
    return row
  }

  /** Add a row behind another one, or at the end. */
  insert(thread, row, behind) {
    const at = behind === undefined ? -1 : thread.rows.indexOf(behind)
    if (at < 0) return this.push(thread, row)
    row.thread = thread.id
    thread.rows.splice(at + 1, 0, row)
    this.changes.list = true
    return row
  }

  /** Take a row away. */
  remove(thread, row) {
    const at = thread.rows.lastIndexOf(row)
    if (at >= 0) thread.rows.splice(at, 1)
    this.changes.list = true
  }

  /** A row looks different now, and so does whatever sums it up. */
  touch(row) {
    if (row === null || row === undefined) return
    this.changes.rows.add(row.key)
    const thread = this.threads.get(row.thread)
    if (thread?.row) this.touch(thread.row)
  }

  /** The row of a call; `fresh` makes another one where the one of that id is over. */
  call(thread, id, { name = '', fresh = false, behind } = {}) {
    let row = thread.calls.get(id)
    if (row === undefined || (fresh && ENDED.has(row.state))) {
      row = { key: this.#key(`c${thread.id}/${id}`), kind: 'call', call: id, name, args: '', state: 'pending', output: '', result: null, agent: '', draft: false, wait: '' }
      thread.calls.set(id, row)
      this.insert(thread, row, behind)
      const orphan = this.orphans.get(`${thread.id}/${id}`)
      if (orphan !== undefined) {
        this.orphans.delete(`${thread.id}/${id}`)
        this.returned(row, orphan)
      }
    }
    if (name !== '') row.name = name
    this.touch(row)
    return row
  }

  /** A call has its result. */
  returned(row, result) {
    row.result = result
    row.draft = false
    if (row.state !== 'rejected') row.state = !result.isError ? 'done' : result.output?.startsWith(REJECTED) ? 'rejected' : 'failed'
    this.touch(row)
  }

  /** Something waits for a person: so does its call. */
  opened(wait) {
    this.waits.set(wait.id, wait)
    this.#await(wait)
    this.changes.waits = this.changes.head = true
  }

  /** A wait is over; `how` is `{action, by, reason, why …}`. */
  closed(id, how) {
    const wait = this.waits.get(id)
    this.waits.delete(id)
    this.settled.set(id, how)
    this.changes.waits = this.changes.head = true
    const row = wait?.tool_call && this.threads.get(wait.session_id || this.id)?.calls.get(wait.tool_call.id)
    if (!row || row.wait !== id) return
    row.wait = ''
    if (wait.kind === 'approval') row.answered = how
    if (wait.kind === 'approval' && how.action === 'reject') row.state = 'rejected'
    else if (row.state === 'waiting') row.state = row.started ? 'running' : 'pending'
    this.touch(row)
  }

  /** The key that is wanted, or one like it where it is taken. */
  #key(wanted) {
    let key = wanted
    while (this.keys.has(key)) key = `${wanted}/${++this.serial}`
    this.keys.add(key)
    return key
  }

  // -- snapshots ----------------------------------------------------------------------------------------------------

  #await(wait) {
    if (!wait.tool_call) return
    const thread = this.threads.get(wait.session_id || this.id) ?? this.root
    if (wait.kind !== 'approval') {
      const asking = thread.calls.get(wait.tool_call.id)
      if (asking) asking.wait = wait.id
      return this.touch(asking)
    }
    const row = this.call(thread, wait.tool_call.id, { name: wait.tool_call.function.name })
    row.args = wait.tool_call.function.arguments || row.args
    Object.assign(row, { draft: false, wait: wait.id, state: 'waiting' })
    if (wait.tool_definition) row.definition = wait.tool_definition
  }

  #head(shot) {
    const head = this.head
    Object.assign(head, {
      title: shot.title ?? '', state: shot.state ?? (shot.streaming ? 'running' : 'idle'), agent: shot.agent ?? '',
      source: shot.source ?? '', model: shot.model ?? '', provider: shot.provider ?? '', safety: shot.safety_policy ?? '',
      permissions: shot.permissions ?? null, workingDir: shot.working_dir ?? '', createdAt: shot.created_at ?? '',
      budget: shot.budget ?? null, treeBudget: shot.tree_budget ?? null, starred: Boolean(shot.starred), error: shot.error ?? '',
      treeCost: shot.total_cost ?? shot.tree_cost ?? shot.cost ?? 0, overrides: shot.model_overrides ?? {}, turn: Boolean(shot.streaming), turns: shot.turns ?? 0,
      parent: shot.parent_id ?? '',
    })
    head.usage = {
      ...head.usage, input: shot.input_tokens ?? 0, output: shot.output_tokens ?? 0, cost: shot.cost ?? 0,
      context: (shot.input_tokens ?? 0) + (shot.output_tokens ?? 0), limit: shot.context_limit ?? 0,
    }
    if (Array.isArray(shot.team)) head.team = shot.team
  }

  /** Messages, the marks between them, and what else happened then. */
  #history({ messages = [], marks = [], notes = [], nested = [], sub_sessions: subs = [] }) {
    this.places = new Map([...nested, ...subs].map((sub) => [sub.id, sub]))
    if (messages?.length > 0) this.first = Math.min(this.first || Infinity, messages[0].id)
    for (const entry of [...(messages ?? []), ...marks, ...notes].sort((a, b) => a.id - b.id)) {
      if (entry.event) this.#remark(entry)
      else if (entry.message?.role) this.add(entry)
      else this.#mark(entry)
    }
    this.changes.list = true
  }

  /** What happened between messages: its frame, taken in at its place. */
  #remark({ id, event }) {
    const sub = event.session_id
    const thread = sub && event.parent_session_id && sub !== this.id ? this.#place(sub, event.agent_name) : this.root
    if (event.type === 'tool_call_confirmation' && !thread.calls.has(event.tool_call?.id)) return // its call is on an older page
    if (Object.hasOwn(ON, event.type)) ON[event.type].take(this, event, id, false)
  }

  #mark({ type, id, session_id: sub, summary, message, code }) {
    if (this.has(id)) return
    this.seen.add(id)
    const thread = sub && sub !== this.id ? this.#place(sub) : this.root
    if (type === 'summary') this.push(thread, { kind: 'summary', text: summary, id })
    else if (type === 'error' && !told(thread, message)) this.push(thread, { kind: 'note', level: 'error', text: message || 'An error without a message', code: code ?? '', id })
  }

  /** Whether a message is here. */
  has(id) {
    return this.seen.has(id)
  }

  /** A message is another one now. */
  edit(id, message) {
    const row = this.messages.get(id)
    if (row === undefined) return
    row.text = message.content ?? row.text
    if (row.kind === 'answer') row.reasoning = message.reasoning_content ?? ''
    this.touch(row)
  }

  /** A message of the history, as snapshots have it. */
  add(entry) {
    if (this.has(entry.id)) return
    this.seen.add(entry.id)
    const { message } = entry
    const sub = entry.session_id && entry.session_id !== this.id ? entry.session_id : ''
    const thread = sub ? this.#place(sub, entry.agent_name) : this.root
    if (message.role === 'tool') this.#result(thread, message)
    else if (message.role === 'assistant') this.#answer(thread, entry, message)
    else if (message.role === 'user') {
      const { id, ordinal, implicit } = entry
      this.said(thread, { text: message.content, parts: message.multi_content, at: message.created_at, id, ordinal, implicit })
    }
  }

  /** The thread of a sub-session whose messages are being put in: below its call, or where the oldest of them stands. */
  #place(id, agent = '') {
    const known = this.threads.has(id)
    const place = this.places.get(id) ?? {}
    const above = place.parent_session_id
    if (!known && above !== this.id && this.places.has(above)) this.#place(above)
    const thread = this.thread(id, { ...place, agent: agent || place.agent })
    if (!known) thread.state = 'done'
    const { parent } = thread
    if (!parent.rows.includes(thread.row)) this.insert(parent, thread.row, parent.calls.get(thread.call))
    return thread
  }

  /** A message of a person, now in the history. */
  said(thread, { text = '', parts = [], id = 0, ordinal, implicit = false, via = '', at = '' }) {
    if (implicit || (thread.task !== undefined && !thread.rows.some(({ kind }) => kind === 'answer' || kind === 'call'))) return null
    const row = { key: this.#key(`m${id}`), kind: 'user', text: text ?? '', parts: parts ?? [], id, ordinal, via, at, implicit }
    this.seen.add(id)
    this.messages.set(id, row)
    return this.push(thread, row)
  }

  #answer(thread, entry, message) {
    const { content = '', reasoning_content: reasoning = '', tool_calls: calls = [] } = message
    const said = { id: entry.id, agent: entry.agent_name, model: message.model ?? '', at: message.created_at ?? '', streaming: false }
    if (content !== '' || reasoning !== '') {
      const row = { key: this.#key(`m${entry.id}`), kind: 'answer', text: content, reasoning, usage: message.usage ?? null, cost: message.cost, ...said }
      this.messages.set(entry.id, this.push(thread, row))
    }
    calls.forEach((call, index) => {
      const row = this.call(thread, call.id, { name: call.function.name, fresh: true })
      Object.assign(row, { args: call.function.arguments, agent: entry.agent_name, id: entry.id })
      const known = (message.tool_definitions ?? []).find((definition) => definition.name === call.function.name) ?? message.tool_definitions?.[index]
      if (known) row.definition = known
    })
  }

  #result(thread, message) {
    const result = { output: message.content, isError: Boolean(message.is_error), images: images(message.multi_content) }
    const row = thread.calls.get(message.tool_call_id)
    if (row !== undefined && row.result === null) this.returned(row, result)
    else if (row === undefined) this.orphans.set(`${thread.id}/${message.tool_call_id}`, result)
  }
}

const REJECTED = 'The user rejected the tool call.' // all that the history says of it
/** Whether the round of a CLI has just told this error. */
function told(thread, error) {
  const last = thread.rows.findLast(({ kind, level }) => kind !== 'note' || level === 'error')
  return Boolean(last?.round) && last.text === error
}

const ENDED = new Set(['done', 'failed', 'rejected', 'lost'])

const fresh = () => ({ rows: new Set(), list: false, head: false, waits: false, queue: false })

function images(parts) {
  return (parts ?? []).filter((part) => part.type === 'image_url').map((part) => part.image_url?.url).filter(Boolean)
}
