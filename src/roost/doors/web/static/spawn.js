/** A new session: an agent of this server or an agent CLI, what it is to do, and where. */

import { part } from './api.js'
import { fill, h, text } from './dom.js'
import { icon } from './icons.js'
import * as store from './store.js'
import { complain, worded } from './toast.js'

const KEPT = 'roost.spawn'
const SIZES = [['', 'Default'], ['small', 'Small'], ['medium', 'Medium'], ['large', 'Large']]
const SAFETY = [['', 'As the agent file says'], ['strict', 'Strict: ask before every tool'], ['balanced', 'Balanced: ask before what changes things'],
  ['restricted', 'Restricted: run what is allowed, refuse the rest'], ['autonomous', 'Autonomous: never ask']]

/** Mount the form. */
export function mountSpawn(root, { api, navigate }) {
  const form = new Spawn(root, api, navigate)
  form.load()
  return { unmount: () => form.stop.abort() }
}

class Spawn {
  constructor(root, api, navigate) {
    this.root = root
    this.api = api
    this.navigate = navigate
    this.stop = new AbortController()
    this.kept = kept()
    this.body = h('div', { class: 'sheet' }, h('p', { class: 'why', role: 'status' }, 'Looking for agents…'))
    fill(root, h('div', { class: 'page' }, h('div', { class: 'topline' }, h('h1', {}, 'New session')), h('div', { class: 'scroll' }, this.body)))
  }

  async load() {
    const how = { signal: this.stop.signal }
    const session = this.api.session ?? {}
    const none = () => null
    try {
      const [agents, clis, health] = await Promise.all([
        this.api.get('/api/agents', how),
        session.v1 ? this.api.get('/api/v1/discover', how).catch(none) : null,
        session.v1 ? this.api.get('/web/health', how).catch(none) : null,
      ])
      this.choices = [...agents.map(ofFile), ...ofClis(clis ?? [], health?.clis)]
      if (this.choices.length) this.draw()
      else this.nothing()
    } catch (error) {
      if (this.stop.signal.aborted) return
      fill(this.body, h('div', { class: 'empty', role: 'alert' }, icon('warn'), h('h2', {}, 'The agents did not load'), h('p', {}, worded(error)),
        h('button', { class: 'button', type: 'button', onClick: () => this.load() }, 'Try again')))
    }
  }

  nothing() {
    fill(this.body, h('div', { class: 'empty' }, icon('terminal'), h('h2', {}, 'No agent here yet'),
      h('p', {}, 'Start the server with an agent file, as `roost serve --agents ./agents`, or install an agent CLI beside it.'),
      h('a', { class: 'button', href: '/docs' }, 'API')))
  }

  draw() {
    this.fields = {}
    this.prompt = h('textarea', { class: 'input prompt', id: 'f-prompt', rows: 4, required: true, placeholder: 'What is it to do?', enterKeyHint: 'enter', onKeydown: (event) => {
      if (event.key === 'Enter' && (event.metaKey || event.ctrlKey)) this.form.requestSubmit()
    } })
    this.agent = h('select', { class: 'input', id: 'f-agent', onChange: () => this.chosen() }, groups(this.choices))
    this.about = h('p', { class: 'why' })
    this.rest = h('div', { class: 'stack' })
    this.wrong = h('p', { class: 'wrong', role: 'alert', hidden: true })
    this.button = h('button', { class: 'button primary', type: 'submit' }, icon('play'), 'Start')
    this.form = h('form', { class: 'stack roomy', noValidate: true, onSubmit: (event) => { event.preventDefault(); this.go() } },
      this.field('prompt', 'Prompt', this.prompt),
      this.field('agent', 'Agent', this.agent, this.about),
      this.rest, this.wrong, h('div', { class: 'actions start' }, this.button, h('span', { class: 'why keys' }, 'Ctrl+Enter')))
    fill(this.body, this.form)
    const last = this.choices.find(({ value, off }) => value === this.kept.agent && !off) ?? this.choices.find(({ off }) => !off)
    if (last) this.agent.value = last.value
    this.chosen()
    if (matchMedia('(hover: hover)').matches) this.prompt.focus()
  }

  /** A field with its label, and a place for what is wrong with it. */
  field(name, label, input, ...hints) {
    const wrong = h('p', { class: 'wrong', id: `w-${name}`, hidden: true })
    input.setAttribute('aria-describedby', wrong.id)
    input.addEventListener('input', () => this.right(name))
    this.fields[name] = { input, wrong }
    return h('div', { class: 'field' }, h('label', { for: input.id }, label), input, hints, wrong)
  }

  get choice() {
    return this.choices.find(({ value }) => value === this.agent.value)
  }

  chosen() {
    const { choice } = this
    text(this.about, choice.about)
    this.about.hidden = !choice.about
    for (const name of Object.keys(this.fields)) if (!['prompt', 'agent'].includes(name)) delete this.fields[name]
    fill(this.rest, choice.cli ? this.ofCli(choice) : this.ofYaml(choice))
  }

  ofCli({ cli }) {
    const { features: can = {}, default_model: usual, available_models: models = [], size_mappings: sizes = {} } = cli
    const k = this.kept
    this.model = h('input', { class: 'input', id: 'f-model', list: 'models', value: k.agent === this.agent.value ? (k.model ?? '') : '', placeholder: usual || 'Its own default', autocomplete: 'off', spellcheck: false, autocapitalize: 'off' })
    this.size = h('select', { class: 'input', id: 'f-size' }, SIZES.map(([value, label]) => h('option', { value }, value && sizes[value] ? `${label} (${sizes[value]})` : label)))
    this.size.value = k.size ?? ''
    this.name = h('input', { class: 'input', id: 'f-name', autocomplete: 'off', maxLength: 200 })
    this.tags = h('input', { class: 'input', id: 'f-tags', autocomplete: 'off', placeholder: 'review, nightly', autocapitalize: 'off' })
    this.worktree = toggle('f-worktree', k.worktree)
    this.sandbox = toggle('f-sandbox', k.sandbox)
    this.open = toggle('f-open', k.open ?? true)
    this.auto = toggle('f-auto', k.auto)
    return [
      h('datalist', { id: 'models' }, models.map((value) => h('option', { value }))),
      h('div', { class: 'pair' }, this.field('model', 'Model', this.model), this.field('size', 'Size', this.size)),
      this.folder(),
      h('div', { class: 'checks' },
        offered(can.streaming_input) && check(this.open, 'Keep it open', 'It takes more messages after its first answer.'),
        offered(can.worktree) && check(this.worktree, 'In a worktree of its own', 'Works on a branch of its own, beside your files.'),
        offered(can.sandbox) && check(this.sandbox, 'In a sandbox', 'Sees the working folder, and little else.'),
        check(this.auto, 'Approve everything', 'It never asks.')),
      warning(this.auto, 'Without asking, it runs any command and changes any file that it can reach. A sandbox bounds what that is.'),
      details('Name and tags', this.field('name', 'Name', this.name), this.field('tags', 'Tags', this.tags, h('p', { class: 'why' }, 'With commas between them.'))),
    ]
  }

  ofYaml({ file }) {
    const k = this.kept
    this.member = h('select', { class: 'input', id: 'f-member' }, h('option', { value: '' }, 'The first of the file'))
    this.model = h('input', { class: 'input', id: 'f-model', value: k.agent === this.agent.value ? (k.model ?? '') : '', placeholder: 'As the agent file says', autocomplete: 'off', spellcheck: false, autocapitalize: 'off' })
    this.safety = h('select', { class: 'input', id: 'f-safety' }, SAFETY.map(([value, label]) => h('option', { value }, label)))
    this.safety.value = k.safety ?? ''
    this.name = h('input', { class: 'input', id: 'f-name', autocomplete: 'off', maxLength: 200 })
    if (file.multi) this.team(file)
    return [
      file.multi && this.field('member', 'Which of its agents', this.member),
      this.field('model', 'Model', this.model, h('p', { class: 'why' }, 'As provider/model.')),
      this.folder(),
      this.field('safety', 'Tools', this.safety),
      warning(this.safety, 'Without asking, it runs any tool that it has.', () => this.safety.value === 'autonomous'),
      details('Title', this.field('name', 'Title', this.name)),
    ]
  }

  async team(file) {
    try {
      const { agents = [] } = await this.api.get(`/api/agents/${part(file.name)}`, { signal: this.stop.signal })
      for (const { name, description } of agents) this.member.append(h('option', { value: name }, description ? `${name}: ${description}`.slice(0, 90) : name))
    } catch (error) {
      if (!this.stop.signal.aborted) complain(error, 'read its team')
    }
  }

  folder() {
    const known = [...new Set([...(store.rows.peek()?.values() ?? [])].map((row) => row.working_dir).filter(Boolean))].slice(0, 30)
    this.dir = h('input', { class: 'input mono', id: 'f-dir', list: 'dirs', value: this.kept.dir ?? '', placeholder: 'Where the server works', autocomplete: 'off', spellcheck: false, autocapitalize: 'off' })
    return [h('datalist', { id: 'dirs' }, known.map((value) => h('option', { value }))), this.field('dir', 'Working folder', this.dir)]
  }

  // -- off it goes --------------------------------------------------------------------------------

  async go() {
    const prompt = this.prompt.value.trim()
    this.wrong.hidden = true
    Object.keys(this.fields).forEach((name) => this.right(name))
    if (!prompt) return this.bad('prompt', 'Say what it is to do.')
    const { choice } = this
    this.button.disabled = true
    this.button.lastChild.textContent = 'Starting…'
    try {
      const id = choice.cli ? await this.spawn(choice, prompt) : await this.start(choice, prompt)
      keep({ ...this.kept, ...this.choicesMade() })
      this.navigate(`#/s/${part(id)}`)
    } catch (error) {
      this.blame(error)
    } finally {
      this.button.disabled = false
      this.button.lastChild.textContent = 'Start'
    }
  }

  choicesMade() {
    const same = { agent: this.agent.value, model: this.model.value.trim(), dir: this.dir.value.trim() }
    if (!this.choice.cli) return { ...same, safety: this.safety.value === 'autonomous' ? '' : this.safety.value }
    return { ...same, size: this.size.value, worktree: this.worktree.checked, sandbox: this.sandbox.checked, open: this.open.checked }
  }

  async spawn({ cli }, prompt) {
    const on = (box) => box.isConnected && box.checked || undefined
    const tags = this.tags.value.split(',').map((tag) => tag.trim()).filter(Boolean)
    const made = await this.api.post('/api/v1/sessions/spawn', {
      prompt, provider: cli.provider, model: this.model.value.trim() || undefined, size: this.model.value.trim() ? undefined : this.size.value || undefined,
      root: this.dir.value.trim() || undefined, worktree: on(this.worktree), sandbox: on(this.sandbox), auto_approve: on(this.auto), interactive: on(this.open),
      name: this.name.value.trim() || undefined, tags: tags.length ? tags : undefined,
    })
    return made.session_id ?? made.id
  }

  async start({ file }, prompt) {
    const session = await this.api.post('/api/sessions', {
      title: this.name.value.trim() || undefined, working_dir: this.dir.value.trim() || undefined, safety_policy: this.safety.value || undefined,
    })
    const member = this.member.value ? `/${part(this.member.value)}` : ''
    try {
      await this.api.begin(`/api/sessions/${part(session.id)}/agent/${part(file.name)}${member}?detach=true`, {
        messages: [{ role: 'user', content: prompt }], model: this.model.value.trim() || undefined,
      })
    } catch (error) {
      if (error.status) this.api.delete(`/api/sessions/${part(session.id)}`).catch(() => {}) // it has never begun
      throw error
    }
    return session.id
  }

  /** Say what is wrong beside the field that it is about. */
  blame(error) {
    const message = worded(error)
    const found = [['model', /model|size/i], ['dir', /working.?dir|director|folder|root|worktree|repositor/i], ['tags', /\btag/i], ['name', /\bname|title/i], ['agent', /provider|agent|install/i], ['prompt', /prompt|message/i]]
      .find(([name, about]) => error.status && error.status < 500 && this.fields[name] && about.test(message))
    if (found) return this.bad(found[0], message)
    text(this.wrong, message)
    this.wrong.hidden = false
    this.wrong.scrollIntoView({ block: 'nearest' })
  }

  bad(name, message) {
    const { input, wrong } = this.fields[name]
    text(wrong, message)
    wrong.hidden = false
    input.setAttribute('aria-invalid', 'true')
    input.closest('details')?.setAttribute('open', '')
    input.focus()
  }

  right(name) {
    const { input, wrong } = this.fields[name] ?? {}
    if (!wrong || wrong.hidden) return
    wrong.hidden = true
    input.removeAttribute('aria-invalid')
  }
}

const ofFile = (file) => ({ value: `file:${file.name}`, label: file.name, about: file.description, file })

function ofClis(all, found = []) {
  const missing = new Set(found.filter((one) => !one.found).map(({ provider }) => provider))
  return all.map((cli) => ({ value: `cli:${cli.provider}`, label: cli.provider, about: '', cli, off: missing.has(cli.provider) }))
}

function groups(choices) {
  const option = ({ value, label, off }) => h('option', { value, disabled: off }, off ? `${label} (not installed here)` : label)
  const files = choices.filter(({ file }) => file).map(option)
  const clis = choices.filter(({ cli }) => cli).map(option)
  return [files.length > 0 && h('optgroup', { label: 'Agents of this server' }, files), clis.length > 0 && h('optgroup', { label: 'Agent CLIs' }, clis)]
}

const offered = (feature) => feature?.supported !== false
const toggle = (id, on) => h('input', { type: 'checkbox', id, role: 'switch', checked: Boolean(on) })
const check = (input, label, why) => h('label', { class: 'check' }, input, h('span', {}, label, h('span', { class: 'why' }, why)))
const details = (label, ...inside) => h('details', { class: 'fold' }, h('summary', {}, label), h('div', { class: 'stack' }, inside))

function warning(input, words, holds = () => input.checked) {
  const note = h('div', { class: 'note amber', hidden: !holds() }, icon('warn'), h('div', {}, words))
  input.addEventListener('change', () => { note.hidden = !holds() })
  return note
}

function kept() {
  try {
    return JSON.parse(localStorage.getItem(KEPT)) ?? {}
  } catch {
    return {}
  }
}

function keep(choices) {
  try {
    localStorage.setItem(KEPT, JSON.stringify(choices))
  } catch {
    // a browser that keeps nothing
  }
}
