// A session as a fold of its snapshot and its frames.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Fold } from '../../../src/roost/doors/web/static/fold.js'

const S = 'session'
const empty = { id: S, messages: [], last_event_seq: 0, tail_from: 0, state: 'new' }

function fold(shot = {}, ...frames) {
  const made = new Fold(S)
  made.open({ ...empty, ...shot })
  frames.forEach((frame, at) => made.take(frame, (shot.tail_from ?? 0) + at + 1))
  return made
}

const kinds = (made) => made.root.rows.map(({ kind }) => kind)
const text = (content, answer = 'a') => ({ type: 'agent_choice', content, answer, session_id: S })
const user = (content, id) => ({ id, message: { role: 'user', content }, ordinal: 0 })
const said = (content, id, calls = []) => ({ id, agent_name: 'root', message: { role: 'assistant', content, tool_calls: calls } })
const call = (id, name = 'shell', args = '{"cmd":"ls"}') => ({ id, type: 'function', function: { name, arguments: args } })
const sub = (frame, id = 'sub') => ({ ...frame, session_id: id, parent_session_id: S, root_session_id: S })

test('an answer grows with its pieces and ends with its message', () => {
  const made = fold({}, { type: 'answer_started', answer: 'a', model: 'm' }, { type: 'agent_choice_reasoning', content: 'hm', answer: 'a' }, text('He'), text('llo'))
  const [row] = made.root.rows
  assert.equal(row.text, 'Hello')
  assert.equal(row.reasoning, 'hm')
  assert.equal(row.streaming, true)
  made.flush()
  made.take({ type: 'message_added', answer: 'a', id: 5 }, 5)
  assert.equal(row.streaming, false)
  assert.deepEqual([...made.flush().rows], [row.key])
})

test('a frame that was here before changes nothing', () => {
  const made = fold({}, text('one'), text(' two'))
  made.take(text('one'), 1)
  made.take(text(' two'), 2)
  assert.equal(made.root.rows[0].text, 'one two')
  made.take(text('!'), 3)
  assert.equal(made.root.rows[0].text, 'one two!')
})

test('pieces that are taken back are gone, and the answer begins anew', () => {
  const made = fold({}, text('kept '), text('lost'), { type: 'warning', message: 'cut off', discard_since: 2, answer: 'a' }, text('again', 'b'))
  assert.deepEqual(made.root.rows.map((row) => row.text), ['kept ', 'cut off', 'again'])
  const all = fold({}, text('lost'), { type: 'warning', message: 'cut off', discard_since: 1, answer: 'a' })
  assert.deepEqual(kinds(all), ['note'])
})

test('a drafted call of an answer that is taken back goes with it', () => {
  const made = fold({}, { type: 'partial_tool_call', tool_call: call('c', 'shell', '{"cm'), answer: 'a' }, { type: 'warning', message: 'again', discard_since: 1, answer: 'a' })
  assert.deepEqual(kinds(made), ['note'])
  made.take({ type: 'tool_call', tool_call: call('c') }, 9)
  assert.deepEqual(kinds(made), ['note', 'call'])
})

test('a call is drafted, runs, prints and returns, in one row', () => {
  const made = fold({}, { type: 'partial_tool_call', tool_call: call('c', 'shell', '{"cmd":"l'), answer: 'a' })
  const [row] = made.root.rows
  assert.equal(row.state, 'draft')
  made.take({ type: 'tool_call', tool_call: call('c') }, 2)
  assert.equal(row.state, 'running')
  made.take({ type: 'tool_call_output', tool_call_id: 'c', output: 'a\n' }, 3)
  made.take({ type: 'tool_call_output', tool_call_id: 'c', output: 'b\n' }, 4)
  assert.equal(row.output, 'a\nb\n')
  made.take({ type: 'tool_call_response', tool_call_id: 'c', tool_call: call('c'), response: 'a\nb', result: { output: 'a\nb', isError: true } }, 5)
  assert.equal(row.state, 'failed')
  assert.equal(row.result.output, 'a\nb')
  assert.equal(made.root.rows.length, 1)
})

test('the same call id in a later answer is another call', () => {
  const made = fold({}, { type: 'tool_call', tool_call: call('c') }, { type: 'tool_call_response', tool_call_id: 'c', response: '1' }, { type: 'tool_call', tool_call: call('c') })
  assert.deepEqual(made.root.rows.map(({ state }) => state), ['done', 'running'])
  assert.notEqual(made.root.rows[0].key, made.root.rows[1].key)
})

test('what the snapshot has is not shown twice when its tail is read', () => {
  const shot = { messages: [user('hi', 2), said('Let me look.', 7, [call('c')])], last_event_seq: 12, tail_from: 3, streaming: true, state: 'running' }
  const made = fold(shot,
    { type: 'answer_started', answer: 'a' }, text('Let me '), text('look.'), // 4, 5, 6: they are whole in message 7
    { type: 'message_added', answer: 'a', id: 7 }, { type: 'tool_call', tool_call: call('c') }, { type: 'tool_call_output', tool_call_id: 'c', output: 'x' },
    { type: 'warning', message: 'shown before the snapshot' }, { type: 'user_message', message: 'hi', id: 2 }, { type: 'error', error: 'old' })
  assert.deepEqual(kinds(made), ['user', 'answer', 'call'])
  assert.equal(made.root.rows[2].output, 'x')
  assert.equal(made.root.rows[2].state, 'running')
  made.take({ type: 'tool_call_response', tool_call_id: 'c', response: 'done' }, 13)
  assert.equal(made.root.rows[2].state, 'done')
})

test('a round of a CLI that failed says why, and says it once', () => {
  const short = { type: 'round_result', success: false, message: 'Not logged in' }
  const made = fold({}, short, { type: 'user_message', message: 'and now?', id: 2 }, short, { type: 'run_ended', exit_code: 1 }, { type: 'error', error: 'Not logged in' })
  assert.equal(made.root.rows.filter(({ text }) => text === 'Not logged in').length, 2)
  made.take({ type: 'round_result', success: true, message: 'done' }, 9)
  assert.ok(!made.root.rows.some(({ text }) => text === 'done'))
})

test('an unfinished answer comes whole out of the tail', () => {
  const shot = { messages: [user('hi', 2)], last_event_seq: 6, tail_from: 3, streaming: true }
  const made = fold(shot, { type: 'answer_started', answer: 'a' }, text('Hel'), text('lo'))
  made.take(text('!'), 7)
  assert.equal(made.root.rows[1].text, 'Hello!')
})

test('any cut between snapshot and frames ends in the same rows', () => {
  const frames = [
    { type: 'turn_opened', agent_name: 'root', source: 'agent' },
    { type: 'message_written', id: 2, message: { role: 'user', content: 'go' } },
    { type: 'user_message', message: 'go', id: 2 },
    { type: 'answer_started', answer: 'a' }, text('Look'), text('ing'), { type: 'partial_tool_call', tool_call: call('c', 'shell', '{'), answer: 'a' },
    { type: 'message_added', answer: 'a', id: 8 },
    { type: 'tool_call', tool_call: call('c') }, { type: 'tool_call_output', tool_call_id: 'c', output: 'o' },
    { type: 'tool_call_response', tool_call_id: 'c', response: 'out' }, { type: 'message_added', tool_call_id: 'c', id: 12 },
    { type: 'answer_started', answer: 'b' }, text('Done', 'b'), { type: 'message_added', answer: 'b', id: 15 },
    { type: 'stream_stopped', session_id: S, reason: 'normal' },
  ]
  const messages = [user('go', 2), said('Looking', 8, [call('c')]), { id: 12, message: { role: 'tool', tool_call_id: 'c', content: 'out' } }, said('Done', 15)]
  const seen = (made) => made.root.rows.map(({ kind, text, state, result }) => [kind, text, state, result?.output])
  const whole = fold()
  frames.forEach((frame, at) => whole.take(frame, at + 1))
  for (let last = 0; last <= frames.length; last++) {
    const tails = [last, ...[3, 12].filter((start) => start < last)]
    for (const tail of tails) {
      const made = new Fold(S)
      made.open({ ...empty, messages: messages.filter(({ id }) => id <= last), last_event_seq: last, tail_from: last > 3 && last < 12 ? 3 : last === 13 || last === 14 ? 12 : tail, streaming: last > 0 && last < 16 })
      frames.forEach((frame, at) => made.take(frame, at + 1))
      assert.deepEqual(seen(made), seen(whole), `cut at ${last}`)
    }
  }
})

test('older pages go before, and results find their calls across the cut', () => {
  const made = fold({ messages: [{ id: 9, message: { role: 'tool', tool_call_id: 'c', content: 'out' } }, said('Done', 10)], last_event_seq: 10, tail_from: 10, more: true })
  assert.equal(made.first, 9)
  const keys = made.root.rows.map(({ key }) => key)
  made.older({ messages: [user('go', 2), said('', 8, [call('c')])], marks: [{ id: 5, type: 'error', message: 'boom' }], more: false })
  assert.deepEqual(kinds(made), ['user', 'note', 'call', 'answer'])
  assert.equal(made.root.rows[2].result.output, 'out')
  assert.equal(made.more, false)
  assert.equal(made.first, 2)
  assert.deepEqual(made.root.rows.slice(-1).map(({ key }) => key), keys)
})

test('sub-agents are nested where they were called, and folded away with their rows', () => {
  const task = call('t', 'transfer_task', '{"agent":"reader","task":"Read it"}')
  const made = fold({}, { type: 'tool_call', tool_call: task }, { type: 'session_created', session_id: 'sub', parent_session_id: S, tool_call_id: 't' },
    sub({ type: 'turn_opened', agent_name: 'reader' }), sub({ type: 'message_written', id: 4, message: { role: 'user', content: 'Please proceed.' } }),
    sub({ type: 'agent_choice', content: 'Reading', answer: 'b', agent_name: 'reader' }), sub({ type: 'tool_call', tool_call: call('x') }))
  assert.deepEqual(made.visible(() => false).map(({ kind, depth }) => [kind, depth]), [['sub', 0], ['user', 1], ['answer', 1], ['call', 1]])
  assert.deepEqual(made.visible(() => true).map(({ kind }) => kind), ['sub'])
  const thread = made.threads.get('sub')
  assert.deepEqual([thread.agent, thread.title, thread.state], ['reader', 'Read it', 'running'])
  assert.notEqual(made.head.agent, 'reader')
  made.take(sub({ type: 'stream_stopped', reason: 'normal' }), 20)
  assert.equal(thread.state, 'done')
  assert.equal(made.state === 'idle', false)
})

test('finished sub-agents of a snapshot find the call that they were for', () => {
  const messages = [user('go', 1), said('', 2, [call('t', 'transfer_task', '{"agent":"reader","task":"Read it"}')]),
    { id: 3, session_id: 'sub', implicit: true, message: { role: 'user', content: 'brief' } }, { ...said('Read.', 4), agent_name: 'reader', session_id: 'sub' },
    { id: 5, message: { role: 'tool', tool_call_id: 't', content: 'Read.' } }, said('It is read.', 6)]
  const nested = [{ id: 'sub', parent_session_id: S, tool_call_id: 't' }]
  const made = fold({ messages, nested, last_event_seq: 6, tail_from: 6 })
  assert.deepEqual(made.visible(() => false).map(({ kind, text, depth }) => [kind, text, depth]),
    [['user', 'go', 0], ['sub', undefined, 0], ['user', 'Read it', 1], ['answer', 'Read.', 1], ['answer', 'It is read.', 0]])
  assert.equal(made.threads.get('sub').state, 'done')
  const cut = fold({ messages: messages.slice(3), nested, last_event_seq: 6, tail_from: 6, more: true })
  assert.deepEqual(cut.visible(() => false).map(({ kind, depth }) => [kind, depth]), [['sub', 0], ['answer', 1], ['answer', 0]])
  cut.older({ messages: messages.slice(0, 3), nested, more: false })
  assert.deepEqual(cut.visible(() => false).map(({ kind, text, depth }) => [kind, text, depth]), made.visible(() => false).map(({ kind, text, depth }) => [kind, text, depth]))
})

test('what waits marks its call, and who answers is known', () => {
  const made = fold({ streaming: true }, { type: 'tool_call_confirmation', tool_call: call('c'), request_id: 'w', session_id: S, metadata: { safety_label: 'destructive' } })
  assert.equal(made.state, 'waiting')
  assert.equal(made.root.rows[0].state, 'waiting')
  assert.deepEqual(made.waits.get('w').metadata, { safety_label: 'destructive' })
  made.take({ type: 'wait_answered', request_id: 'w', action: 'reject', reason: 'no', by: 'ada' }, 2)
  assert.equal(made.waits.size, 0)
  assert.equal(made.root.rows[0].state, 'rejected')
  assert.deepEqual(made.settled.get('w').by, 'ada')
  made.take({ type: 'tool_call_response', tool_call_id: 'c', response: 'rejected', result: { output: 'rejected', isError: true } }, 3)
  assert.equal(made.root.rows[0].state, 'rejected')
})

test('the queue holds what waits until it is taken or dropped', () => {
  const made = fold({ streaming: true }, { type: 'message_queued', id: 1, queue: 'steer', messages: [{ content: 'x' }, { content: 'y' }] })
  assert.deepEqual(made.queue[0].messages.map(({ content }) => content), ['x', 'y'])
  made.take({ type: 'user_message', message: 'x', id: 2, queued: 1, index: 0, queue: 'steer' }, 2)
  assert.deepEqual(made.root.rows.map(({ text, via }) => [text, via]), [['x', 'steer']])
  made.take({ type: 'message_dropped', queued: 1, index: 1, why: 'a hook' }, 3)
  assert.deepEqual(made.queue, [])
  assert.match(made.root.rows[1].text, /a hook/)
})

test('however a turn ends, nothing goes on running', () => {
  const made = fold({}, { type: 'turn_opened' }, { type: 'tool_call', tool_call: call('c') }, text('half', 'z'), { type: 'stream_stopped', session_id: S, reason: 'canceled' })
  assert.equal(made.state, 'canceled')
  assert.deepEqual(made.root.rows.map(({ state, streaming }) => state ?? streaming ?? ''), ['lost', false, ''])
})

test('cost and context follow their frames, and the tree has those below in it', () => {
  const usage = (cost, last) => ({ usage: { input_tokens: 10, output_tokens: 2, context_length: 12, context_limit: 100, cost, last_message: { Cost: last, Model: 'm' } } })
  const made = fold({ total_cost: 1, cost: 1 }, { type: 'token_usage', session_id: S, ...usage(1.5, 0.5) }, sub({ type: 'token_usage', ...usage(0.25, 0.25) }), { type: 'cost_added', session_id: S, cost: 0.25, total_cost: 1.75 })
  assert.equal(made.head.usage.cost, 1.75)
  assert.equal(made.head.treeCost, 2)
  assert.equal(made.head.usage.limit, 100)
})

test('anything may come, and nothing throws', () => {
  const types = ['agent_choice', 'tool_call', 'tool_call_response', 'partial_tool_call', 'message_added', 'warning', 'token_usage', 'user_message', 'stream_stopped', 'session_created', 'wait_answered', 'message_queued', 'nobody_knows', 'constructor', '__proto__']
  const made = fold()
  types.forEach((type, at) => made.take({ type }, at + 1))
  made.take(null, 99)
  made.take('x', 100)
  assert.ok(Array.isArray(made.visible(() => false)))
})

const remark = (id, event) => ({ id, event: { session_id: S, ...event } })
const asking = (id, wait, about) => remark(id, { type: 'tool_call_confirmation', request_id: wait, tool_call: about })
const answering = (id, wait, action) => remark(id, { type: 'wait_answered', request_id: wait, action, by: 'ada' })

test('what happened between messages stands where it did, and is no news', () => {
  const returned = (id, name) => ({ id, message: { role: 'tool', content: 'done', tool_call_id: name } })
  const made = fold({
    messages: [user('go', 2), said('', 4, [call('c1')]), returned(8, 'c1'), said('so', 12), user('on', 20)],
    notes: [
      remark(3, { type: 'warning', message: 'careful' }), asking(5, 'w1', call('c1')), answering(6, 'w1', 'approve'),
      remark(13, { type: 'stream_stopped', reason: 'canceled' }), remark(15, { type: 'handed_over', from_agent: 'root', to_agent: 'coder' }),
    ],
    last_event_seq: 30, tail_from: 30, state: 'running', streaming: true, agent: 'root',
  })
  assert.deepEqual(kinds(made), ['user', 'note', 'call', 'answer', 'note', 'handover', 'user'])
  const [, warned, called, , stopped] = made.root.rows
  assert.deepEqual([warned.text, stopped.text, called.state, called.answered.by], ['careful', 'Interrupted', 'done', 'ada'])
  assert.deepEqual([made.state, made.head.agent, made.waits.size, made.settled.size], ['running', 'root', 0, 0])
})

test('why a round of a CLI failed is told once, also when it is opened again', () => {
  const made = fold({ messages: [user('go', 2)], notes: [remark(3, { type: 'round_result', success: false, message: 'no login' })], marks: [{ id: 4, type: 'error', message: 'no login' }], last_event_seq: 5, tail_from: 5 })
  assert.deepEqual(kinds(made), ['user', 'note'])
})

test('an older page with its remarks leaves what is under way as it is', () => {
  const wait = { id: 'w9', kind: 'approval', session_id: S, tool_call: call('c9') }
  const made = fold({ messages: [said('now', 40, [call('c9')])], waits: [wait], state: 'running', streaming: true, more: true, last_event_seq: 50, tail_from: 50 })
  made.older({ messages: [user('go', 2)], notes: [remark(4, { type: 'stream_stopped', reason: 'error' }), asking(5, 'w1', call('elsewhere'))], more: false })
  assert.deepEqual(kinds(made), ['user', 'answer', 'call'])
  assert.deepEqual([made.state, made.waits.size, made.root.rows[2].state], ['waiting', 1, 'waiting'])
})

test('sub-sessions hang where the snapshot says, those below them too', () => {
  const task = (id, agent) => call(id, 'transfer_task', JSON.stringify({ agent, task: `for ${agent}` }))
  const made = fold({
    messages: [
      user('go', 2), said('', 3, [task('t1', 'coder'), task('t2', 'coder')]),
      { ...said('', 6, [task('t3', 'tester')]), session_id: 'b', agent_name: 'coder' }, { ...said('green', 9), session_id: 'c', agent_name: 'tester' },
    ],
    nested: [{ id: 'b', parent_session_id: S, tool_call_id: 't1' }, { id: 'c', parent_session_id: 'b', tool_call_id: 't3' }],
    last_event_seq: 20, tail_from: 20,
  })
  const [first] = made.root.rows.filter((row) => row.call === 't1')
  assert.equal(first.sub, 'b')
  assert.equal(made.threads.get('c').parent, made.threads.get('b'))
  assert.equal(made.threads.get('b').calls.get('t3').sub, 'c')
})

test('a drafted call is complete once its message is there', () => {
  const drafted = { type: 'partial_tool_call', tool_call: call('c', 'shell', '{"cm'), answer: 'a' }
  const made = fold({}, { type: 'session_created', session_id: S, safety_policy: 'restricted' }, drafted, { type: 'message_added', answer: 'a', id: 3, tool_calls: [call('c')] })
  const [row] = made.root.rows
  assert.deepEqual([row.args, row.state, row.draft], ['{"cmd":"ls"}', 'pending', false])
  assert.equal(made.head.safety, 'restricted')
})

test('a message to a CLI that rests is neither a follow-up nor steered, whatever the list says first', () => {
  const queued = (id) => ({ type: 'message_queued', id, queue: 'followup', messages: [{ role: 'user', content: `n${id}` }], session_id: S })
  const taken = (id) => ({ type: 'user_message', message: `n${id}`, queued: id, index: 0, queue: 'followup', session_id: S })
  const begun = { type: 'answer_started', answer: 'a', agent_name: 'mock', session_id: S }
  const made = fold({}, { type: 'turn_opened', session_id: S }, begun, { type: 'round_ended', index: 0, reason: 'stop', session_id: S })
  made.hear({ id: S, state: 'running' }) // the list is ahead of the events
  made.take(queued(4), 4)
  made.take(taken(4), 5)
  made.take({ ...begun, answer: 'b' }, 6)
  made.take(queued(7), 7)
  made.take({ type: 'round_ended', index: 1, reason: 'stop', session_id: S }, 8)
  made.take(taken(7), 9)
  assert.deepEqual(made.root.rows.filter(({ kind }) => kind === 'user').map(({ text, via }) => [text, via]), [['n4', ''], ['n7', 'followup']])
})
