/** What each frame does to a fold: one table. */

const OUTCOMES = { normal: 'idle', error: 'failed', canceled: 'canceled' }

/** Handlers by type.  `again`: also of frames that a snapshot has taken in already, for what it can't hold (drafts, output). */
export const ON = {
  // -- a turn
  turn_opened: live((fold, f) => {
    const { head } = fold
    const thread = fold.threadOf(f)
    if (thread !== fold.root) {
      thread.state = 'running'
      return fold.touch(thread.row)
    }
    Object.assign(head, { state: 'running', turn: true, rests: false, turns: head.turns + 1, canceling: false, error: '', detached: Boolean(f.detached) })
    if (f.agent_name) head.agent = f.agent_name
    if (f.source) head.source = f.source
    if (f.provider) head.provider = f.provider
    if (f.model) head.model = f.model
    fold.changes.head = true
  }),
  stream_started: live((fold, f) => {
    const thread = fold.threadOf(f)
    thread.state = 'running'
    if (thread === fold.root) Object.assign(fold.head, { state: 'running', turn: true })
    fold.touch(thread.row)
    fold.changes.head = true
  }),
  turn_resumed: live((fold, f) => {
    const thread = fold.threadOf(f)
    if (thread !== fold.root) return
    Object.assign(fold.head, { state: 'running', turn: true })
    note(fold, thread, 'info', f.n > 1 ? `Goes on after another restart (${f.n})` : 'Goes on after a restart')
  }),
  turn_detached: live((fold) => {
    fold.head.detached = true
  }),
  cancel_asked: live((fold) => {
    fold.head.canceling = true
    fold.changes.head = true
  }),
  stream_stopped: live(stopped),
  session_exited: live((fold, f) => {
    fold.head.gone = f.reason || 'session ended'
    fold.waits.clear()
    fold.changes.head = fold.changes.waits = true
  }),
  error: live((fold, f) => {
    const thread = fold.threadOf(f)
    if (thread === fold.root) fold.head.error = f.error
    const last = thread.rows.findLast(({ kind, level }) => kind !== 'note' || level === 'error')
    if (last?.round && last.text === f.error) return // the round has said so already
    note(fold, thread, 'error', f.error || 'An error without a message', { code: f.code ?? '' })
  }),
  round_ended: live((fold, f) => {
    if (fold.threadOf(f) === fold.root) fold.paused = true
  }),
  round_result: live((fold, f) => {
    if (!f.success && f.message) note(fold, fold.threadOf(f), 'error', f.message, { code: '', round: true })
  }),

  // -- what people say
  message_written: live((fold, f) => {
    const thread = fold.threadOf(f)
    const entry = { id: f.id, session_id: thread === fold.root ? '' : thread.id, agent_name: f.agent_name, message: f.message, implicit: Boolean(f.implicit) }
    if (thread !== fold.root || !fold.busy) fold.add(entry)
    else if (f.message.role === 'user' && !entry.implicit) fold.written.set(f.id, entry) // shown as soon as somebody says so
  }),
  message_edited: live((fold, f) => fold.edit(f.id, f.message)),
  user_message: live((fold, f, id) => {
    const calm = fold.queue.find((entry) => entry.id === f.queued)?.calm ?? fold.paused
    if (f.queued) unqueue(fold, f.queued, f.index)
    if (fold.head.rests) head(fold, 'rests', false)
    fold.paused = false
    const own = f.id ?? id
    for (const [at, entry] of fold.written) {
      if (at < own) fold.add(entry)
      if (at <= own) fold.written.delete(at)
    }
    if (own <= fold.known || fold.has(own)) return
    const row = fold.said(fold.threadOf(f), { text: f.message, parts: f.multi_content, id: own, via: f.queued && !calm ? (f.queue ?? 'steer') : '', at: f.timestamp })
    fold.touch(row)
  }),
  message_queued: live((fold, f, id) => {
    const messages = (f.messages ?? []).map((message, index) => ({ ...message, index }))
    fold.queue.push({ id: f.id ?? id, queue: f.queue, messages, calm: fold.paused })
    fold.changes.queue = true
  }),
  message_dropped: live((fold, f) => {
    const message = unqueue(fold, f.queued, f.index)
    if (f.why === 'withdrawn') return // whoever did it knows
    note(fold, fold.threadOf(f), 'warn', `A message was not taken${f.why ? `: ${f.why}` : ''}${message ? `\n${message.content}` : ''}`)
  }),

  // -- answers
  answer_started: both((fold, f) => {
    const thread = fold.threadOf(f)
    if (thread === fold.root) fold.paused = false
    if (thread === fold.root && fold.head.rests) head(fold, 'rests', false)
    answer(fold, thread, f)
  }),
  agent_choice: both((fold, f, id) => added(fold, f, id, 'text')),
  agent_choice_reasoning: both((fold, f, id) => added(fold, f, id, 'reasoning')),
  message_added: both(completed),
  model_fallback: live((fold, f) => {
    const tried = f.max_attempts > 1 ? ` (${f.attempt} of ${f.max_attempts})` : ''
    note(fold, fold.threadOf(f), 'warn', `${f.failed_model} failed${f.reason ? `: ${f.reason}` : ''}. Asking ${f.fallback_model}${tried}`)
  }),
  token_usage: live(used),
  cost_added: live((fold, f) => {
    fold.head.treeCost += f.cost ?? 0
    if (fold.threadOf(f) === fold.root) fold.head.usage = { ...fold.head.usage, cost: f.total_cost ?? fold.head.usage.cost }
    fold.changes.head = true
  }),
  tokens_set: live((fold, f) => {
    fold.head.usage = { ...fold.head.usage, input: f.input_tokens, output: f.output_tokens, context: f.input_tokens + f.output_tokens, cost: f.cost }
    fold.changes.head = true
  }),

  // -- tools
  partial_tool_call: both((fold, f, id, replayed) => {
    const thread = fold.threadOf(f)
    const { id: call, function: { name = '', arguments: args = '' } = {} } = f.tool_call ?? {}
    const row = fold.call(thread, call, { name, fresh: !replayed })
    if (row.result !== null || row.started || (replayed && row.id)) return
    if (row.since === undefined) row.since = id
    Object.assign(row, { args, draft: true, state: row.state === 'waiting' ? 'waiting' : 'draft', answer: f.answer, agent: f.agent_name ?? row.agent })
    if (f.tool_definition) row.definition = f.tool_definition
  }),
  tool_call: both((fold, f, id, replayed) => {
    const row = called(fold, f, f.tool_call?.id, !replayed)
    if (row.result !== null) return
    Object.assign(row, { state: 'running', started: f.timestamp || true, draft: false, output: '' })
  }),
  tool_call_output: both((fold, f) => {
    const row = fold.call(fold.threadOf(f), f.tool_call_id)
    if (row.result === null) row.output = bounded(row.output + f.output)
  }),
  tool_call_response: both((fold, f, id, replayed) => {
    const call = f.tool_call_id || f.tool_call?.id
    const row = called(fold, f, call)
    if (replayed && row.result !== null) return
    row.ended = f.timestamp
    const result = f.result ?? { output: f.response, isError: false }
    const pictures = (result.images ?? []).map((media) => `data:${media.mimeType};base64,${media.data}`)
    fold.returned(row, { output: f.response ?? result.output ?? '', isError: Boolean(result.isError), images: pictures, structured: result.structuredContent })
  }),
  call_lost: live((fold, f) => {
    const row = fold.call(fold.threadOf(f), f.tool_call_id)
    if (row.result === null) row.state = 'lost'
  }),
  call_changed: both((fold, f) => {
    const row = fold.call(fold.threadOf(f), f.tool_call_id)
    Object.assign(row, { args: f.arguments, changed: true })
  }),
  hook_blocked: live((fold, f) => {
    const row = called(fold, f)
    row.blocked = f.message || 'A hook refuses this call'
  }),
  hook_finished: live((fold, f) => {
    if (f.error || f.message) note(fold, fold.threadOf(f), f.error ? 'warn' : 'info', `${f.hook_event}: ${f.error || f.message}`)
  }),
  plan_updated: live((fold, f) => {
    const thread = fold.threadOf(f)
    fold.head.plan = f.content
    const last = thread.rows.at(-1)
    if (last?.kind === 'plan') {
      last.text = f.content
      fold.touch(last)
    } else fold.push(thread, { kind: 'plan', text: f.content, path: f.path ?? '' })
    fold.changes.head = true
  }),
  rag_indexing_started: live((fold, f) => head(fold, 'indexing', { name: f.rag_name, current: 0, total: 0 })),
  rag_indexing_progress: live((fold, f) => head(fold, 'indexing', { name: f.rag_name, current: f.current, total: f.total })),
  rag_indexing_completed: live((fold) => head(fold, 'indexing', null)),
  mcp_init_started: live((fold) => head(fold, 'starting', true)),
  mcp_init_finished: live((fold) => head(fold, 'starting', false)),

  // -- what waits for a person
  tool_call_confirmation: live((fold, f) => fold.opened(waiting('approval', fold, f))),
  elicitation_request: live((fold, f) => fold.opened(waiting('question', fold, f))),
  max_iterations_reached: live((fold, f) => fold.opened(waiting('limit', fold, f))),
  budget_exceeded: live((fold, f) => fold.opened(waiting('budget', fold, f))),
  wait_answered: live((fold, f) => fold.closed(f.request_id, { action: f.action, word: f.confirmation ?? '', reason: f.reason ?? '', by: f.by ?? '', content: f.content ?? null })),
  wait_voided: live((fold, f) => fold.closed(f.request_id, { action: 'void', why: f.why ?? '', by: '' })),
  authorization_event: live((fold, f) => note(fold, fold.threadOf(f), 'info', `Login: ${f.confirmation}`)),

  // -- a tree of agents
  session_created: both((fold, f) => {
    if (f.parent_session_id && f.session_id !== fold.id) fold.thread(f.session_id, f)
    else if (f.safety_policy && fold.head.safety === '') head(fold, 'safety', f.safety_policy)
  }),
  sub_session_completed: live((fold, f) => {
    const sub = f.sub_session
    if (!sub?.id) return
    const thread = fold.thread(sub.id, { parent_session_id: f.parent_session_id, title: sub.title })
    if (thread.state === 'running') thread.state = 'done'
    if (sub.cost) thread.cost = sub.cost
    fold.touch(thread.row)
  }),
  agent_info: live((fold, f) => {
    const thread = fold.threadOf(f)
    if (thread !== fold.root) {
      Object.assign(thread, { agent: f.agent_name || thread.agent, model: f.model || thread.model })
      return fold.touch(thread.row)
    }
    Object.assign(fold.head, { agent: f.agent_name || fold.head.agent, model: f.model || fold.head.model, welcome: f.welcome_message ?? '', description: f.description })
    if (f.context_limit) fold.head.usage.limit = f.context_limit
    fold.changes.head = true
  }),
  team_info: live((fold, f) => {
    if (fold.threadOf(f) !== fold.root) return
    fold.head.team = f.available_agents ?? []
    if (f.current_agent) fold.head.agent = f.current_agent
    fold.changes.head = true
  }),
  handed_over: live((fold, f) => {
    const thread = fold.threadOf(f)
    fold.push(thread, { kind: 'handover', from: f.from_agent ?? f.agent_name ?? '', to: f.to_agent, why: f.why ?? '' })
    if (thread === fold.root) fold.head.agent = f.to_agent
    fold.changes.head = true
  }),

  // -- the session
  session_title: live((fold, f) => {
    const thread = fold.threadOf(f)
    if (thread === fold.root) fold.head.title = f.title
    else thread.title = f.title
    fold.changes.head = true
  }),
  model_chosen: live((fold, f) => {
    if (!f.agent_name || f.agent_name === fold.head.agent) fold.head.model = f.model || fold.head.model
    fold.changes.head = true
  }),
  safety_set: live((fold, f) => head(fold, 'safety', f.safety_policy ?? '')),
  permissions_set: live((fold, f) => head(fold, 'permissions', f.permissions ?? null)),
  starred_set: live((fold, f) => head(fold, 'starred', Boolean(f.starred))),
  budget_set: live((fold, f) => {
    head(fold, 'budget', f.budget ?? null)
    head(fold, 'treeBudget', f.tree_budget ?? null)
  }),
  budget_raised: live((fold, f) => note(fold, fold.threadOf(f), 'info', `The budget ${f.name || ''} was raised${amounts(f.budget)}`.replace(/  +/g, ' '))),
  limit_raised: live((fold, f) => note(fold, fold.threadOf(f), 'info', `Goes on, for up to ${f.max_iterations} steps`)),
  labels_set: live((fold, f) => head(fold, 'labels', { name: f.name ?? '', description: f.description ?? '', tags: f.tags ?? [] })),
  compaction_asked: live((fold) => head(fold, 'compacting', true)),
  budget_usage: live((fold, f) => head(fold, 'budgets', f.budgets ?? [])),
  session_compaction: live((fold, f) => {
    const thread = fold.threadOf(f)
    if (thread === fold.root) head(fold, 'compacting', f.status === 'started')
    const last = thread.rows.findLast((row) => row.kind === 'compaction')
    if (f.status === 'started' || last === undefined || last.status !== 'started') {
      fold.push(thread, { kind: 'compaction', status: f.status, outcome: f.outcome ?? '' })
    } else {
      Object.assign(last, { status: f.status, outcome: f.outcome ?? '' })
      fold.touch(last)
    }
  }),
  session_summary: live((fold, f, id) => {
    fold.seen.add(id)
    fold.push(fold.threadOf(f), { kind: 'summary', text: f.summary, model: f.model ?? '', cost: f.cost ?? 0 })
  }),
  warning: both((fold, f, id, replayed) => {
    const thread = fold.threadOf(f)
    if (f.discard_since) discard(fold, thread, f)
    if (f.message && !replayed) note(fold, thread, 'warn', f.message)
  }),

  // -- agent CLIs
  run_started: live((fold, f) => {
    if (f.provider) head(fold, 'provider', f.provider)
    if (f.model) head(fold, 'model', f.model)
    status(fold, f, `${f.provider || 'The CLI'} started${f.pid ? ` (process ${f.pid})` : ''}`)
  }),
  introduced: live((fold, f) => {
    if (f.model) head(fold, 'model', f.model)
  }),
  worktree_made: live((fold, f) => status(fold, f, `Works in the git worktree ${f.name}`)),
  worktree_left: live((fold, f) => status(fold, f, f.removed ? 'The git worktree was removed' : `The git worktree is kept at ${f.path}`)),
  limit_resumed: live((fold, f) => note(fold, fold.threadOf(f), 'info', 'The usage limit has passed; the work goes on')),
  line_skipped: live((fold, f) => status(fold, f, `A line could not be read: ${f.message}`)),
  run_ended: live((fold, f) => {
    const code = f.exit_code
    if (f.killed) status(fold, f, 'The CLI was stopped')
    else if (f.signal) note(fold, fold.threadOf(f), 'warn', `The CLI was ended by signal ${f.signal}`)
    else if (code) note(fold, fold.threadOf(f), 'warn', `The CLI ended with exit code ${code}`)
    else status(fold, f, 'The CLI ended')
  }),
  status_shown: live((fold, f) => status(fold, f, f.message)),
  stderr_added: live((fold, f) => {
    const thread = fold.threadOf(f)
    const last = thread.rows.at(-1)
    if (last?.kind === 'stderr') {
      last.text = bounded(`${last.text}\n${f.text}`)
      fold.touch(last)
    } else fold.push(thread, { kind: 'stderr', text: bounded(f.text) })
  }),
  note: live((fold, f) => note(fold, fold.threadOf(f), LEVELS[f.level] ?? 'info', f.message)),
}

const LEVELS = { debug: 'info', info: 'info', warn: 'warn', warning: 'warn', error: 'error' }
const KEPT = 200_000 // characters of a running tool's output

function live(take) {
  return { take, again: false }
}

function both(take) {
  return { take, again: true }
}

function note(fold, thread, level, text, more = {}) {
  fold.push(thread, { kind: 'note', level, text: String(text ?? ''), ...more })
  fold.changes.head = true
}

function head(fold, name, value) {
  fold.head[name] = value
  fold.changes.head = true
}

/** The limits of a budget, in words. */
function amounts(budget) {
  const told = [budget?.max_cost && `$${budget.max_cost}`, budget?.max_tokens && `${budget.max_tokens} tokens`, budget?.max_time && `${budget.max_time} s`].filter(Boolean)
  return told.length > 0 ? ` to ${told.join(', ')}` : ''
}

/** What a CLI reports: consecutive reports are one row. */
function status(fold, frame, text) {
  const thread = fold.threadOf(frame)
  head(fold, 'status', text)
  const last = thread.rows.at(-1)
  if (last?.kind === 'status') {
    last.text = text
    last.all.push(text)
    if (last.all.length > 200) last.all.shift()
    fold.touch(last)
  } else fold.push(thread, { kind: 'status', text, all: [text] })
}

/** The end of long output counts; its beginning is let go. */
function bounded(text) {
  return text.length <= KEPT ? text : `… ${text.slice(-KEPT + KEPT / 4)}`
}

// -- answers --------------------------------------------------------------------------------------------------------

/** The row of an answer that comes; made at its first piece. */
function answer(fold, thread, frame) {
  const name = frame.answer || 'unnamed'
  let row = thread.open.get(name)
  if (row === undefined) {
    row = { key: `a${++fold.serial}`, kind: 'answer', answer: name, text: '', reasoning: '', streaming: true, model: frame.model ?? '', agent: frame.agent_name ?? '', pieces: [], shown: false, at: frame.timestamp ?? '' }
    thread.open.set(name, row)
  }
  if (frame.model) row.model = frame.model
  return row
}

function added(fold, frame, id, field) {
  const thread = fold.threadOf(frame)
  const row = answer(fold, thread, frame)
  row.pieces.push([id, row.text.length, row.reasoning.length])
  row[field] += frame.content ?? ''
  if (frame.agent_name) row.agent = frame.agent_name
  if (!row.shown) {
    row.shown = true
    row.thread = thread.id
    fold.push(thread, row)
  }
  fold.touch(row)
}

/** An answer is whole.  Where the snapshot has its message already, what was put together of it goes. */
function completed(fold, frame, id, replayed) {
  const thread = fold.threadOf(frame)
  if (!frame.answer && frame.tool_call_id) return
  const name = frame.answer || 'unnamed'
  let row = thread.open.get(name)
  thread.open.delete(name)
  if (replayed) {
    if (row?.shown) fold.remove(thread, row)
    return
  }
  for (const call of frame.tool_calls ?? []) wanted(fold, thread.calls.get(call.id), call.function)
  const whole = frame.message?.message ?? frame.message ?? null
  if (row === undefined && whole?.content && whole.role === 'assistant') {
    row = answer(fold, thread, frame)
    thread.open.delete(name)
    fold.push(thread, row)
  }
  if (row === undefined) return
  fold.seen.add(id)
  fold.messages.set(id, row)
  if (whole?.role === 'assistant') {
    if (typeof whole.content === 'string') row.text = whole.content
    if (whole.reasoning_content) row.reasoning = whole.reasoning_content
  }
  Object.assign(row, { streaming: false, id, pieces: null, partial: Boolean(frame.partial) })
  fold.touch(row)
}

/** A call whose draft is whole now. */
function wanted(fold, row, { name, arguments: args }) {
  if (!row?.draft) return
  Object.assign(row, { name, args, draft: false, state: row.state === 'draft' ? 'pending' : row.state })
  fold.touch(row)
}

/** Take back the pieces of an answer from a number on. */
function discard(fold, thread, frame) {
  const since = frame.discard_since
  const rows = frame.answer ? [thread.open.get(frame.answer)].filter(Boolean) : [...thread.open.values()]
  for (const row of rows) {
    const first = row.pieces.find(([id]) => id >= since)
    if (first !== undefined) {
      row.text = row.text.slice(0, first[1])
      row.reasoning = row.reasoning.slice(0, first[2])
      row.pieces = row.pieces.filter(([id]) => id < since)
    }
    thread.open.delete(row.answer)
    row.streaming = false
    if (row.text === '' && row.reasoning === '') fold.remove(thread, row)
    else fold.touch(row)
  }
  const ours = (row) => row.kind === 'call' && row.draft && row.since >= since && (!frame.answer || row.answer === frame.answer)
  for (const row of thread.rows.filter(ours)) {
    fold.remove(thread, row)
    thread.calls.delete(row.call)
  }
}

/** However a turn ends, nothing goes on streaming or running. */
function stopped(fold, frame) {
  const thread = fold.threadOf(frame)
  for (const row of thread.open.values()) {
    row.streaming = false
    fold.touch(row)
  }
  thread.open.clear()
  for (const row of thread.calls.values()) {
    if (row.state === 'draft' || row.state === 'running' || row.state === 'pending' || row.state === 'waiting') {
      Object.assign(row, { state: 'lost', draft: false, wait: '' })
      fold.touch(row)
    }
  }
  thread.state = { normal: 'done', error: 'failed', canceled: 'canceled' }[frame.reason] ?? 'done'
  fold.touch(thread.row)
  if (thread !== fold.root) return
  Object.assign(fold.head, { state: OUTCOMES[frame.reason] ?? 'idle', turn: false, rests: false, canceling: false, compacting: false, starting: false, indexing: null })
  if (frame.reason === 'canceled') note(fold, thread, 'info', 'Interrupted')
  for (const sub of fold.threads.values()) {
    if (sub !== fold.root && sub.state === 'running') {
      sub.state = 'canceled'
      fold.touch(sub.row)
    }
  }
  fold.written.clear()
  for (const id of [...fold.waits.keys()]) fold.closed(id, { action: 'void', why: 'the turn ended', by: '' })
  fold.changes.head = true
}

// -- tools ----------------------------------------------------------------------------------------------------------

function called(fold, frame, id = frame.tool_call?.id, fresh = false) {
  const { function: { name = '', arguments: args = '' } = {} } = frame.tool_call ?? {}
  const row = fold.call(fold.threadOf(frame), id, { name, fresh })
  if (args !== '') row.args = args
  if (frame.agent_name) row.agent = frame.agent_name
  if (frame.tool_definition && (!row.definition || frame.tool_definition.parameters)) row.definition = frame.tool_definition
  return row
}

/** What waits, in the shape of `GET /api/waits`. */
function waiting(kind, fold, frame) {
  return {
    id: frame.request_id || frame.elicitation_id,
    kind,
    session_id: frame.session_id || fold.id,
    agent_name: frame.agent_name ?? '',
    opened_at: frame.timestamp ?? '',
    tool_call: frame.tool_call ?? null,
    tool_definition: frame.tool_definition ?? null,
    message: frame.message ?? '',
    mode: frame.mode ?? '',
    url: frame.url ?? '',
    schema: frame.schema ?? null,
    meta: frame.meta ?? null,
    max_iterations: frame.max_iterations ?? 0,
    metadata: kind === 'budget' ? { budget: frame.budget, limit: frame.limit, used: String(frame.used ?? ''), max: String(frame.max ?? ''), config_path: frame.config_path ?? '' } : (frame.metadata ?? {}),
  }
}

// -- queue and usage ------------------------------------------------------------------------------------------------

/** A queued message has left the queue; returns it. */
function unqueue(fold, id, index = 0) {
  const queued = fold.queue.find((entry) => entry.id === id)
  fold.changes.queue = true
  if (queued === undefined) return null
  const message = queued.messages.find((entry) => entry.index === index) ?? null
  queued.messages = queued.messages.filter((entry) => entry !== message)
  if (queued.messages.length === 0) fold.queue = fold.queue.filter((entry) => entry !== queued)
  return message
}

function used(fold, frame) {
  const thread = fold.threadOf(frame)
  const { usage = {} } = frame
  const last = usage.last_message
  if (last) {
    const row = thread.rows.findLast((one) => one.kind === 'answer' || one.kind === 'call')
    if (row?.kind === 'answer') Object.assign(row, { usage: last, cost: last.Cost, model: row.model || last.Model })
    fold.touch(row)
  }
  const before = thread === fold.root ? fold.head.usage.cost : (thread.cost ?? (usage.cost ?? 0) - (last?.Cost ?? 0))
  fold.head.treeCost += Math.max((usage.cost ?? 0) - before, 0)
  const now = { input: usage.input_tokens ?? 0, output: usage.output_tokens ?? 0, context: usage.context_length ?? 0, limit: usage.context_limit ?? 0, cost: usage.cost ?? 0, threshold: usage.compaction_threshold ?? 0 }
  if (thread === fold.root) {
    fold.head.usage = now
    if (last?.Model && !fold.head.model) fold.head.model = last.Model
  } else Object.assign(thread, { usage: now, cost: now.cost })
  fold.touch(thread.row)
  fold.changes.head = true
}
