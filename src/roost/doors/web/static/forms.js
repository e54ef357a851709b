/** Cards on which a person answers what waits: approvals, questions, addresses to open, limits and budgets. */

import { isShell, summed, wanted } from './calls.js'
import { menu } from './dialog.js'
import { h } from './dom.js'
import { icon } from './icons.js'
import { fieldsOf, read } from './schema.js'
import { seen, short } from './text.js'
import { age, some, when } from './words.js'

let cards = 0

/**
 * A card for what waits, in the shape of `GET /api/waits`.
 *
 * `onAnswer(body)` sends `POST /api/waits/:id` and returns a promise; what it is refused with is shown on the card.
 * The card has `.close({action, by, reason, why})`, which says who has answered what, and takes the buttons away.
 * @returns {HTMLElement & {close: (how: object) => void, wait: object}}
 */
export function answerCard(wait, onAnswer, { title = true } = {}) {
  const id = `ask-${++cards}`
  const trouble = h('p', { class: 'wrong', role: 'alert', hidden: true })
  const foot = h('div', { class: 'answers' })
  const card = h('section', { class: ['ask', wait.kind], role: 'group', 'aria-labelledby': id, data: { wait: wait.id, kind: kindOf(wait) } })
  const send = sender(card, foot, trouble, onAnswer)
  const { heading, sign, body } = laidOut(wait, { send, foot, id, trouble })
  card.append(
    h('header', {}, icon(sign), h('h2', { id, class: title ? '' : 'hush' }, heading), whose(wait)),
    ...[body].flat().filter(Boolean), trouble, foot)
  card.wait = wait
  card.close = (how) => closed(card, foot, trouble, how)
  return card
}

function kindOf(wait) {
  if (wait.kind !== 'question') return wait.kind
  return addressOf(wait) === '' ? 'question' : 'address'
}

/** What a card shows.  A question that can't be shown hides no other: it can be refused here, and seen elsewhere. */
function laidOut(wait, parts) {
  try {
    return KINDS[kindOf(wait)](wait, parts)
  } catch (error) {
    reportError(error)
    const no = wait.kind === 'question' ? { action: 'decline' } : { confirmation: 'reject' }
    parts.foot.replaceChildren(button('Reject', () => parts.send(no), 'danger'))
    return { heading: 'This can’t be shown here', sign: 'warn', body: h('p', { class: 'message' }, 'Look at it at a terminal: ', h('code', {}, 'roost approvals'), '.') }
  }
}

function whose(wait) {
  const since = wait.opened_at ? h('time', { datetime: wait.opened_at, title: when(wait.opened_at) }, age(wait.opened_at)) : null
  return h('span', { class: 'whose' }, wait.agent_name, wait.agent_name && since && ' · ', since)
}

/** Sends an answer once at a time; what comes back as an error stays on the card. */
function sender(card, foot, trouble, onAnswer) {
  let under = false
  return async (body) => {
    if (under) return false
    under = true
    card.setAttribute('aria-busy', 'true')
    const before = [...card.querySelectorAll('button, input, select, textarea')].filter((one) => !one.disabled)
    before.forEach((one) => { one.disabled = true })
    trouble.hidden = true
    try {
      await onAnswer(body)
      if (!card.dataset.over) settle(card, foot, told({ ...body, action: body.action || (body.confirmation === 'reject' ? 'reject' : 'approve'), by: 'you' }))
      return true
    } catch (error) {
      if (card.dataset.over) return false
      if (error?.status === 404 || error?.status === 409) settle(card, foot, error.code === 'already_answered' ? 'Somebody else answered otherwise, and was first.' : 'Nobody waits for this any more.')
      else {
        before.forEach((one) => { one.disabled = false })
        trouble.textContent = `${error?.message || 'The answer could not be sent.'}`
        trouble.hidden = false
      }
      return false
    } finally {
      under = false
      card.removeAttribute('aria-busy')
    }
  }
}

function settle(card, foot, words) {
  card.dataset.over = 'true'
  card.querySelectorAll('button, input, select, textarea').forEach((one) => {
    if (!one.closest('.wanted')) one.disabled = true
  })
  foot.replaceChildren(h('p', { class: 'told', role: 'status' }, words))
}

function closed(card, foot, trouble, how) {
  trouble.hidden = true
  settle(card, foot, told(how))
}

const WORDS = { approve: 'Approved', reject: 'Rejected', accept: 'Answered', decline: 'Declined', cancel: 'Canceled' }
const GRANTS = { 'approve-session': 'Approved, with all that follows in this session', 'approve-tool': 'Approved, now and from now on', 'approve-balanced': 'Approved, and what is safe from now on' }

/** What became of a wait, in words. */
export function told({ action = '', by = '', reason = '', why = '', word = '', confirmation = '' }) {
  if (action === 'void') return `No longer needed${why ? `: ${why}` : ''}.`
  const done = GRANTS[word || confirmation] ?? WORDS[action] ?? 'Answered'
  return `${done}${by ? ` by ${by}` : ''}${reason ? `: ${reason}` : ''}${reason && /[.!?]$/.test(reason) ? '' : '.'}`
}

function button(label, act, kind = '', more = {}) {
  return h('button', { class: ['button', kind], type: 'button', onClick: act, ...more }, label)
}

// -- approvals --------------------------------------------------------------------------------------------------------

const RISKS = { destructive: ['red', 'Destructive'], unknown: ['amber', 'Not known to be safe'], safe: ['green', 'Only reads'], lost: ['amber', 'Was cut off'] }

function approval(wait, { send, foot }) {
  const { function: { name = '', arguments: raw = '' } = {} } = wait.tool_call ?? {}
  const sum = summed(name, raw, wait.tool_definition)
  const yes = button([icon('check'), 'Approve'], () => send({ confirmation: 'approve' }), 'primary', { 'aria-label': 'Approve once' })
  const always = button(['Always', icon('down', 'tiny')], () => menu(always, grants(name, raw, send), { label: 'Approve more than this' }), '', { 'aria-haspopup': 'menu', 'aria-label': 'Approve always …' })
  const no = button('Reject', () => rejecting(foot, send, choices), 'danger')
  const choices = () => foot.replaceChildren(no, always, yes)
  choices()
  return { heading: seen(asks(sum, name)), sign: sum.icon, body: [judged(wait), wait.message && h('p', { class: 'message', dir: 'auto' }, wait.message), wanted(name, raw)] }
}

function asks(sum, name) {
  if (sum.verb === '$') return isShell(name) ? 'Run this command?' : `Run this command with ${name}?`
  if (sum.plus !== undefined) return `${sum.verb} ${sum.detail} with ${name}?`
  return `Use ${name}?`
}

/** How dangerous it is, and why. */
function judged({ metadata = {} }) {
  const risk = metadata.lost ? 'lost' : metadata.safety_label
  const [kind, label] = Object.hasOwn(RISKS, risk) ? RISKS[risk] : ['', '']
  const why = metadata.reason || (metadata.tools ? `It may call: ${metadata.tools}` : '')
  if (label === '' && !why) return null
  return h('p', { class: 'judged' }, label && h('span', { class: ['pill', kind] }, label), why && h('span', {}, why))
}

/** What can be granted beyond this one call. */
function grants(name, raw, send) {
  const pattern = patternOf(name, raw)
  return [
    { label: `Always allow ${seen(name)}`, icon: 'check', act: () => send({ confirmation: 'approve-tool' }) },
    pattern && { label: `Always allow ${short(pattern.words, 60)}`, icon: 'terminal', act: () => send({ confirmation: 'approve-tool', tool_name: pattern.rule }) },
    { label: 'Allow what is judged safe, from now on', icon: 'info', act: () => send({ confirmation: 'approve-balanced' }) },
    { label: 'Allow everything in this session', icon: 'warn', danger: true, act: () => send({ confirmation: 'approve-session' }) },
  ]
}

/** For a plain shell command: the rule that allows it with other arguments. */
function patternOf(name, raw) {
  let args = null
  try {
    args = JSON.parse(raw)
  } catch {
    return null
  }
  const key = typeof args?.cmd === 'string' ? 'cmd' : typeof args?.command === 'string' ? 'command' : ''
  const found = key && /^([\w./-]+)(?: ([a-z][\w-]*))?(?: [^;&|<>$`()\n]*)?$/.exec(args[key].trim())
  if (!found) return null
  const words = found[2] ? `${found[1]} ${found[2]}` : found[1]
  return { words: `“${words} …”`, rule: `${name.replace(/[\\*?[:=]/g, '\\$&')}:${key}=${words}*` }
}

/** Rejecting asks why: the model reads it. */
function rejecting(foot, send, back) {
  const reason = h('input', { class: 'input', placeholder: 'Why? The agent is told (optional)', 'aria-label': 'Reason for the rejection', autocomplete: 'off', enterkeyhint: 'send', maxLength: 4000 })
  const form = h('form', { class: 'reason', onSubmit: (event) => {
    event.preventDefault()
    send({ confirmation: 'reject', reason: reason.value.trim() })
  }, onKeydown: (event) => {
    if (event.key !== 'Escape') return
    event.stopPropagation()
    back()
    foot.querySelector('.danger')?.focus()
  } },
  reason,
  h('div', { class: 'row' }, button('Back', back, 'quiet'), h('button', { class: 'button danger', type: 'submit' }, 'Reject')))
  foot.replaceChildren(form)
  reason.focus()
}

// -- limits and budgets -----------------------------------------------------------------------------------------------

function limit(wait, { send, foot }) {
  foot.append(button('Stop', () => send({ confirmation: 'reject' }), 'danger'), button('Go on', () => send({ confirmation: 'approve' }), 'primary'))
  return {
    heading: 'Go on?', sign: 'refresh',
    body: h('p', { class: 'message' }, `The agent has taken ${some(wait.max_iterations, 'step')}, which is its limit. It can go on for 10 more.`),
  }
}

const UNITS = { cost: ['US dollars', 0.01], tokens: ['tokens', 1000], time: ['seconds', 60] }

function budget(wait, { send, foot, id, trouble }) {
  const { limit: what = 'cost', used = '0', max = '0', budget: name = '' } = wait.metadata ?? {}
  const [unit, step] = Object.hasOwn(UNITS, what) ? UNITS[what] : ['', 1]
  const input = h('input', { class: 'input', id: `${id}-to`, type: 'number', inputmode: 'decimal', min: used, step: 'any', value: String(doubled(Number(max), Number(used), step)) })
  const raise = () => {
    const to = Number(input.value)
    if (to > Number(used)) return send({ confirmation: 'approve', budget: { [`max_${what}`]: what === 'tokens' ? Math.ceil(to) : to } })
    trouble.textContent = `This must be more than the ${used} that are spent.`
    trouble.hidden = false
    return input.focus()
  }
  foot.append(button('Stop', () => send({ confirmation: 'reject' }), 'danger'), button('Raise and go on', raise, 'primary'))
  return {
    heading: `The budget ${name ? `“${name}” ` : ''}is used up`, sign: 'warn',
    body: [h('p', { class: 'message', dir: 'auto' }, wait.message), h('div', { class: 'field raise' }, h('label', { for: `${id}-to` }, `Raise it to (${unit})`), input)],
  }
}

function doubled(max, used, step) {
  const to = Math.max(max * 2, used + step)
  return Number(to.toPrecision(6))
}

// -- questions --------------------------------------------------------------------------------------------------------

function metaOf(wait, key) {
  const meta = wait.meta ?? {}
  return meta[`docker-agent/${key}`] ?? meta[`cagent/${key}`] ?? meta[`roost/${key}`] ?? ''
}

function question(wait, { send, foot, id }) {
  const resume = metaOf(wait, 'type') === 'resume'
  const token = metaOf(wait, 'type') === 'oauth_flow'
  const fields = token ? fieldsOf(TOKEN) : fieldsOf(wait.schema)
  const plain = fields.length === 0 && !resume && !(wait.schema?.type === 'object')
  const shown = plain ? fieldsOf({ properties: { response: { title: 'Your answer', maxLength: 100_000 } }, required: ['response'] }) : fields
  const inputs = shown.map((field, at) => inputOf(field, `${id}-${at}`))
  const accept = () => {
    const content = collected(inputs)
    if (content !== null) send(resume ? { action: 'accept' } : { action: 'accept', content: token ? { token_type: 'Bearer', ...content } : content })
  }
  const form = h('form', { class: 'questions', noValidate: true, autocomplete: 'off', onSubmit: (event) => { event.preventDefault(); accept() } }, inputs.map(({ node }) => node), h('button', { type: 'submit', hidden: true, tabindex: -1, 'aria-hidden': 'true' }))
  foot.append(
    resume ? null : button('Cancel', () => send({ action: 'cancel' }), 'quiet', { title: 'Neither yes nor no: the tool is told that nobody answered' }),
    button(resume ? 'End it' : 'Decline', () => send({ action: 'decline' }), 'danger'),
    button(resume ? 'Go on' : shown.length > 0 ? 'Send' : 'Accept', accept, 'primary'))
  return { heading: metaOf(wait, 'title') || (resume ? 'Go on with it?' : 'The agent asks'), sign: 'info', body: [h('p', { class: 'message', dir: 'auto' }, wait.message), shown.length > 0 && form] }
}

const TOKEN = { properties: { access_token: { title: 'Access token', description: 'Log in at the server with another program, and put its token here.', type: 'string' } }, required: ['access_token'] }

/** The values of a form; null where something is wrong, with the first wrong field in focus. */
function collected(inputs) {
  const content = Object.create(null) // a field may be called __proto__
  let first = null
  for (const { field, raw, show, focus } of inputs) {
    const [value, wrong] = read(field, raw())
    show(wrong)
    if (wrong && first === null) first = focus
    if (value !== undefined) content[field.name] = value
  }
  first?.()
  return first === null ? content : null
}

/** @returns {{field: object, node: HTMLElement, raw: () => any, show: (wrong: string) => void, focus: () => void}} */
function inputOf(field, id) {
  const wrong = h('p', { class: 'wrong', id: `${id}-wrong`, hidden: true })
  const hint = field.hint && h('p', { class: 'why', id: `${id}-hint` }, field.hint)
  const about = [hint && `${id}-hint`, `${id}-wrong`].filter(Boolean).join(' ')
  const { node, raw, control } = INPUTS[field.kind](field, id, { hint, wrong, about })
  const show = (words) => {
    wrong.textContent = words
    wrong.hidden = words === ''
    words ? control.setAttribute('aria-invalid', 'true') : control.removeAttribute('aria-invalid')
  }
  node.addEventListener('change', () => { if (!wrong.hidden) show(read(field, raw())[1]) })
  return { field, node, raw, show, focus: () => control.focus() }
}

function labelled(field, id, control, { hint, wrong }) {
  return h('div', { class: 'field' }, h('label', { for: id }, field.title, !field.required && h('span', { class: 'why' }, ' (optional)')), control, hint, wrong)
}

function line(field, id, parts) {
  const numeric = field.kind === 'number' || field.kind === 'integer'
  const control = h('input', {
    class: 'input', id, type: numeric ? 'text' : field.type, inputmode: numeric ? (field.kind === 'integer' && !(field.rules.minimum < 0) ? 'numeric' : 'decimal') : null,
    value: field.value === undefined || field.value === null ? '' : String(field.value), 'aria-describedby': parts.about, 'aria-required': String(field.required), autocomplete: 'off',
    placeholder: field.rules.examples?.[0] !== undefined ? String(field.rules.examples[0]) : '',
  })
  return { node: labelled(field, id, control, parts), raw: () => control.value, control }
}

function area(field, id, parts) {
  const start = field.value === undefined ? '' : field.kind === 'lines' && Array.isArray(field.value) ? field.value.join('\n') : field.kind === 'json' ? JSON.stringify(field.value, null, 2) : String(field.value)
  const control = h('textarea', { class: ['input', field.kind === 'json' && 'mono'], id, rows: 3, value: start, 'aria-describedby': parts.about, 'aria-required': String(field.required) })
  const hint = parts.hint || { lines: h('p', { class: 'why' }, 'One on each line'), json: h('p', { class: 'why' }, 'As JSON') }[field.kind]
  return { node: labelled(field, id, control, { ...parts, hint }), raw: () => control.value, control }
}

function yesno(field, id, { hint, wrong, about }) {
  const control = h('input', { type: 'checkbox', role: 'switch', id, checked: field.value === true, 'aria-describedby': about })
  return { node: h('div', { class: 'field' }, h('label', { class: 'check', for: id }, control, h('span', {}, field.title)), hint, wrong), raw: () => control.checked, control }
}

/** A few options stand side by side; more are in a list. */
function choice(field, id, parts) {
  if (field.options.length > 6) {
    const control = h('select', { class: 'input', id, 'aria-describedby': parts.about },
      h('option', { value: '' }, field.required ? 'Choose…' : 'None'),
      field.options.map((option, at) => h('option', { value: String(at), selected: option.value === field.value }, option.title)))
    return { node: labelled(field, id, control, parts), raw: () => (control.value === '' ? undefined : field.options[Number(control.value)].value), control }
  }
  const radios = field.options.map((option, at) => h('input', { type: 'radio', name: id, id: `${id}-${at}`, checked: option.value === field.value }))
  const node = ticks(field, id, radios, parts)
  return { node, raw: () => field.options[radios.findIndex((radio) => radio.checked)]?.value, control: radios[0] }
}

function choices(field, id, parts) {
  const chosen = new Set(Array.isArray(field.value) ? field.value : [])
  const boxes = field.options.map((option, at) => h('input', { type: 'checkbox', id: `${id}-${at}`, checked: chosen.has(option.value) }))
  return { node: ticks(field, id, boxes, parts), raw: () => field.options.filter((_, at) => boxes[at].checked).map((option) => option.value), control: boxes[0] }
}

function ticks(field, id, inputs, { hint, wrong, about }) {
  return h('fieldset', { class: 'field ticks', 'aria-describedby': about }, h('legend', { class: 'label' }, field.title, !field.required && h('span', { class: 'why' }, ' (optional)')), hint,
    h('div', { class: 'options' }, inputs.map((input, at) => h('label', { class: 'tick', for: `${id}-${at}` }, input, h('span', {}, field.options[at].title)))), wrong)
}

const INPUTS = { text: line, secret: line, number: line, integer: line, long: area, lines: area, json: area, yesno, choice, choices }

// -- addresses --------------------------------------------------------------------------------------------------------

/** The address that a question wants opened; '' for one that is no web address. */
function addressOf(wait) {
  const given = wait.url || metaOf(wait, 'authorize_url')
  try {
    return /^https?:$/.test(new URL(given).protocol) ? given : ''
  } catch {
    return ''
  }
}

function address(wait, { send, foot }) {
  const url = new URL(addressOf(wait))
  const login = metaOf(wait, 'type') === 'oauth_flow'
  const done = button(login ? 'I have logged in' : 'Done', () => send({ action: 'accept', content: login ? null : {} }), 'primary')
  const open = h('a', { class: 'button primary', href: url.href, target: '_blank', rel: 'noopener noreferrer', onClick: () => setTimeout(() => foot.replaceChildren(no, again, done), 0) }, icon('out'), 'Open')
  const again = h('a', { class: 'button', href: url.href, target: '_blank', rel: 'noopener noreferrer' }, 'Open again')
  const no = button('Decline', () => send({ action: 'decline' }), 'danger')
  foot.append(no, open)
  return {
    heading: login ? 'Log in' : 'Open an address', sign: 'link',
    body: [
      h('p', { class: 'message', dir: 'auto' }, wait.message),
      h('p', { class: 'address' }, h('span', { class: 'host' }, `${url.protocol}//`, h('strong', {}, url.host)), h('span', { class: 'rest' }, url.pathname + url.search)),
      url.protocol === 'http:' && h('p', { class: 'judged' }, h('span', { class: 'pill amber' }, 'Not encrypted')),
    ],
  }
}

const KINDS = { approval, question, address, limit, budget }
