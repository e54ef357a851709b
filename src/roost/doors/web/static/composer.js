/** Where a person writes: messages, pictures, slash commands; steering and follow-ups while the agent works. */

import { part } from './api.js'
import { confirm, menu } from './dialog.js'
import { fill, h, keyed, text } from './dom.js'
import { icon } from './icons.js'
import { short } from './text.js'
import { complain, toast } from './toast.js'

const REQUEST = 980_000 // bytes that a request may have
const PICTURE = 1_568 // pixels of a picture's longer side
const FILE = 200_000
const PHONE = matchMedia('(max-width: 899px), (pointer: coarse)')
const BUSY = new Set(['session_busy', 'turn_running'])
const GONE = new Set(['already_taken', 'not_queued'])
const NEVER = new Set(['session_not_running', 'unknown_session'])

export class Composer {
  /** @param {{api: object, fold: import('./fold.js').Fold, id: string, ready: () => boolean}} its */
  constructor({ api, fold, id, sent }) {
    this.api = api
    this.fold = fold
    this.id = id
    this.path = `/api/sessions/${part(id)}`
    this.sent = sent
    this.draft = `roost.draft.${id}`
    this.files = []
    this.agent = '' // chosen for the next turn
    this.sources = null // the agents of this server, where the session has none yet
    this.picked = ''
    this.model = null
    this.mode = 'steer'
    this.under = false
    this.unsure = null
    this.build()
    this.restore()
  }

  build() {
    this.queue = h('ul', { class: 'queue', 'aria-label': 'Messages that wait' })
    this.attached = h('ul', { class: 'attached', 'aria-label': 'Attachments' })
    this.list = h('ul', { class: 'commands', id: 'commands', role: 'listbox', 'aria-label': 'Commands', hidden: true })
    this.input = h('textarea', {
      class: 'write', rows: 1, dir: 'auto', 'aria-label': 'Message', placeholder: 'Message…', autocomplete: 'off', 'aria-controls': 'commands', 'aria-autocomplete': 'list',
      onInput: () => this.typed(), onKeydown: (event) => this.keys(event), onPaste: (event) => this.pasted(event),
    })
    this.file = h('input', { type: 'file', multiple: true, hidden: true, onChange: () => { this.attach(this.file.files); this.file.value = '' } })
    this.clip = h('button', { class: 'tool', type: 'button', 'aria-label': 'Attach a picture or a text file', title: 'Attach', onClick: () => this.file.click() }, icon('attach'))
    this.who = h('button', { class: 'pick who', type: 'button', 'aria-haspopup': 'menu', onClick: () => this.agents() }, h('span'), icon('down', 'tiny'))
    this.which = h('button', { class: 'pick which', type: 'button', 'aria-haspopup': 'menu', onClick: () => this.models() }, h('span'), icon('down', 'tiny'))
    this.ways = h('div', { class: 'ways', role: 'radiogroup', 'aria-label': 'When the agent reads it', hidden: true }, this.way('steer', 'Now', 'Steer: the agent reads it at its next step'), this.way('followup', 'After', 'Follow-up: the agent reads it when it is done'))
    this.stop = h('button', { class: 'button stop', type: 'button', hidden: true, 'aria-label': 'Stop the agent', title: 'Stop (Esc twice)', onClick: () => this.cancel() }, icon('stop'), h('span', {}, 'Stop'))
    this.send = h('button', { class: 'button primary send', type: 'submit', 'aria-label': 'Send' }, icon('send'))
    this.form = h('form', { class: 'compose', onSubmit: (event) => { event.preventDefault(); this.submit() } },
      this.attached, this.input,
      h('div', { class: 'bar' }, this.clip, this.who, this.which, h('span', { class: 'grow' }), this.ways, this.stop, this.send), this.file)
    this.element = h('div', { class: 'composer', onDragover: (event) => { event.preventDefault(); this.form.classList.add('over') }, onDragleave: () => this.form.classList.remove('over'),
      onDrop: (event) => { event.preventDefault(); this.form.classList.remove('over'); this.attach(event.dataTransfer.files) } }, this.queue, this.list, this.form)
  }

  way(mode, label, title) {
    return h('button', { class: 'way', type: 'button', role: 'radio', title, data: { mode }, 'aria-checked': String(mode === this.mode), onClick: () => { this.mode = mode; this.paint() },
      onKeydown: (event) => {
        if (!event.key.startsWith('Arrow')) return
        event.preventDefault()
        this.mode = this.mode === 'steer' ? 'followup' : 'steer'
        this.paint()
        this.ways.querySelector('[aria-checked="true"]').focus()
      } }, label)
  }

  /** Whose the next turn is: a session that has not run yet takes what is chosen, or the only one there is. */
  get source() {
    const { head } = this.fold
    return head.source || head.provider || head.agent || this.picked || this.sources?.[0]?.name || ''
  }

  /** Look up which agents there are, once; again where that has failed. */
  sourced() {
    const { head } = this.fold
    if (this.sources !== null || head.source || head.provider || head.agent) return null
    this.sourcing ??= this.api.get('/api/agents').then((sources) => {
      this.sources = sources
      if (!sources.some(({ name }) => name === this.picked)) this.picked = ''
      this.paint()
    }, () => {}).finally(() => { this.sourcing = null })
    return this.sourcing
  }

  // -- how it looks -----------------------------------------------------------------------------------

  paint() {
    const { fold } = this
    const { head, busy } = fold
    this.form.hidden = head.gone !== ''
    if (this.unsure && !this.under) this.arrived()
    this.sourced()
    text(this.who.firstChild, this.agent || head.agent || this.source)
    this.who.hidden = head.team.length < 2 && !(this.sources?.length > 0 && !head.agent)
    this.who.classList.toggle('chosen', this.agent !== '')
    this.who.setAttribute('aria-label', `Agent: ${this.agent || head.agent || this.source}`)
    text(this.which.firstChild, tail(this.model ?? head.model) || 'model')
    this.which.classList.toggle('chosen', this.model !== null)
    this.which.setAttribute('aria-label', `Model: ${this.model ?? head.model}`)
    this.which.title = this.model ?? head.model
    this.which.hidden = !head.model && head.turns === 0
    this.ways.hidden = !busy
    for (const way of this.ways.children) {
      way.setAttribute('aria-checked', String(way.dataset.mode === this.mode))
      way.tabIndex = way.dataset.mode === this.mode ? 0 : -1
    }
    this.stop.hidden = !busy
    this.stop.disabled = head.canceling
    text(this.stop.lastChild, head.canceling ? 'Stopping…' : 'Stop')
    const empty = this.input.value.trim() === '' && this.files.length === 0
    this.send.disabled = empty || this.under
    this.send.hidden = busy && empty && !PHONE.matches
    this.send.setAttribute('aria-label', busy ? (this.mode === 'steer' ? 'Send now' : 'Send as a follow-up') : 'Send')
    this.input.placeholder = this.placeholder(busy)
    this.input.enterKeyHint = PHONE.matches ? 'enter' : 'send'
    this.paintQueue()
    this.grow()
  }

  placeholder(busy) {
    const agent = this.fold.head.agent || this.source
    if (busy) return this.mode === 'steer' ? 'Steer it…' : 'And then…'
    return agent ? `Message ${this.agent || agent}…` : 'Message…'
  }

  paintQueue() {
    const waiting = this.fold.queue.flatMap(({ id, queue, messages }) => messages.map((message) => ({ key: `${id}/${message.index}`, id, queue, message })))
    this.queue.hidden = waiting.length === 0
    keyed(this.queue, waiting, ({ key }) => key, ({ id, queue, message }) => this.waiting(id, queue, short(message.content, 200) || 'a picture'))
  }

  waiting(id, queue, words) {
    const back = h('button', { class: 'tool', type: 'button', title: 'Take it back, to change it', 'aria-label': `Take back: ${short(words, 60)}`, onClick: () => this.takeBack(id, back) }, icon('pen'))
    return h('li', {}, h('span', { class: 'pill' }, queue === 'steer' ? 'now' : 'after'), h('span', { class: 'words', dir: 'auto' }, words), back)
  }

  /** What waits comes back into the field, before what is written there. */
  async takeBack(id, button = null) {
    if (this.taking === id) return
    this.taking = id
    if (button) button.disabled = true
    try {
      const { messages } = await this.api.delete(`${this.path}/queue/${part(id)}`)
      const found = messages.map(parted)
      this.files = [...found.flatMap(({ files }) => files), ...this.files]
      this.paintFiles()
      this.put([...found.map(({ words }) => words), this.input.value].filter(Boolean).join('\n\n'))
    } catch (error) {
      if (GONE.has(error.code)) toast(error.code === 'already_taken' ? 'The agent has read it already.' : 'It does not wait any more.')
      else complain(error, 'take it back')
      if (button) button.disabled = false
    } finally {
      this.taking = null
    }
  }

  grow() {
    this.input.style.height = 'auto'
    this.input.style.height = `${Math.min(this.input.scrollHeight, innerHeight * 0.4)}px`
  }

  // -- drafts -----------------------------------------------------------------------------------------

  restore() {
    try {
      this.input.value = sessionStorage.getItem(this.draft) ?? ''
      this.picked = sessionStorage.getItem(`roost.source.${this.id}`) ?? ''
    } catch {
      // storage may be forbidden; then drafts last as long as the page
    }
  }

  keep() {
    try {
      if (this.input.value) sessionStorage.setItem(this.draft, this.input.value)
      else sessionStorage.removeItem(this.draft)
    } catch {
      // as above
    }
  }

  /** Put words into the field, and the cursor behind them. */
  put(words) {
    this.input.value = words
    this.typed()
    this.input.focus()
  }

  typed() {
    this.keep()
    this.suggest()
    this.paint()
  }

  // -- keys -------------------------------------------------------------------------------------------

  keys(event) {
    if (event.isComposing) return
    if (!this.list.hidden && this.choosing(event)) return
    if (event.key === 'ArrowUp' && this.input.value === '' && this.fold.queue.length > 0) {
      event.preventDefault()
      return this.takeBack(this.fold.queue.at(-1).id)
    }
    if (event.key === 'Enter' && !event.shiftKey && (!PHONE.matches || event.ctrlKey || event.metaKey)) {
      event.preventDefault()
      if (event.altKey && this.fold.busy) this.mode = this.mode === 'steer' ? 'followup' : 'steer'
      this.submit()
    }
  }

  /** Commands that fit what is typed. */
  suggest() {
    const typed = /^\/(\S*)$/.exec(this.input.value)?.[1]
    const found = typed === undefined ? [] : this.commands().filter(({ name }) => name.toLowerCase().startsWith(typed.toLowerCase()))
    this.list.hidden = found.length === 0
    this.chosen = 0
    fill(this.list, found.slice(0, 12).map(({ name, description }, at) => h('li', {
      class: 'command', role: 'option', id: `command-${at}`, 'aria-selected': String(at === 0), data: { name }, onPointerdown: (event) => { event.preventDefault(); this.take(name) },
    }, h('span', { class: 'name' }, `/${name}`), h('span', { class: 'about' }, description))))
    this.pointed()
  }

  commands() {
    const { team, agent } = this.fold.head
    const mine = team.find(({ name }) => name === (this.agent || agent))?.commands ?? {}
    return Object.entries(mine).map(([name, command]) => ({ name, description: command.description || short(command.instruction, 100) })).sort((a, b) => a.name.localeCompare(b.name))
  }

  choosing(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    const options = [...this.list.children]
    if (step) {
      this.chosen = (this.chosen + step + options.length) % options.length
      options.forEach((option, at) => option.setAttribute('aria-selected', String(at === this.chosen)))
      this.pointed()
      options[this.chosen].scrollIntoView({ block: 'nearest' })
    } else if (event.key === 'Tab' || event.key === 'Enter') {
      if (event.key === 'Enter' && options[this.chosen].dataset.name === this.input.value.slice(1)) {
        this.list.hidden = true
        return false
      }
      this.take(options[this.chosen].dataset.name)
    } else if (event.key === 'Escape') {
      this.list.hidden = true
      event.stopPropagation()
    } else return false
    event.preventDefault()
    return true
  }

  take(name) {
    this.put(`/${name} `)
    this.list.hidden = true
  }

  pointed() {
    if (this.list.hidden) this.input.removeAttribute('aria-activedescendant')
    else this.input.setAttribute('aria-activedescendant', `command-${this.chosen}`)
  }

  // -- attachments --------------------------------------------------------------------------------------

  pasted(event) {
    const files = [...(event.clipboardData?.files ?? [])]
    if (files.length === 0) return
    event.preventDefault()
    this.attach(files)
  }

  /** Files become attachments one after the other; what is sent meanwhile waits for them. */
  attach(files) {
    const chosen = [...files]
    this.attaching = Promise.resolve(this.attaching).then(() => this.taken(chosen))
    return this.attaching
  }

  async taken(files) {
    for (const file of files) {
      try {
        this.files.push(file.type.startsWith('image/') ? await picture(file) : await written(file))
      } catch (error) {
        toast(error.message, { kind: 'error' })
      }
    }
    this.paintFiles()
    this.paint()
  }

  paintFiles() {
    fill(this.attached, this.files.map((file) => h('li', {}, file.url ? h('img', { src: file.url, alt: file.name }) : h('span', { class: 'name' }, icon('file'), file.name),
      h('button', { class: 'remove', type: 'button', 'aria-label': `Remove ${file.name}`, onClick: () => {
        this.files = this.files.filter((one) => one !== file)
        this.paintFiles()
        this.paint()
        this.input.focus()
      } }, icon('close')))))
  }

  // -- sending --------------------------------------------------------------------------------------------

  message(words) {
    if (this.files.length === 0) return { role: 'user', content: words }
    const texts = this.files.filter(({ words: inside }) => inside !== undefined).map(({ name, words: inside }) => ({ type: 'text', text: `${name}:\n\n${fenced(inside)}` }))
    const pictures = this.files.filter(({ url }) => url).map(({ url }) => ({ type: 'image_url', image_url: { url } }))
    return { role: 'user', content: words, multi_content: [...(words ? [{ type: 'text', text: words }] : []), ...texts, ...pictures] }
  }

  async submit() {
    await this.attaching
    const written = { words: this.input.value.trim(), files: this.files }
    const { words } = written
    if (this.under || (words === '' && this.files.length === 0)) return
    const message = this.message(words)
    if (JSON.stringify(message).length > REQUEST) return toast('This is more than a message may have: leave a picture or a file out.', { kind: 'error' })
    this.under = true
    this.form.setAttribute('aria-busy', 'true')
    this.list.hidden = true
    this.paint()
    try {
      await this.sourced()
      if (this.source === '') throw new Error('this server has no agent that could answer')
      await this.deliver(message)
      this.clear(written)
    } catch (error) {
      if (error.status === 0) this.unsure = { ...written, since: this.fold.cursor } // it may have arrived all the same
      complain(error, 'send it')
    } finally {
      this.under = false
      this.form.removeAttribute('aria-busy')
      this.paint()
    }
  }

  /** A message of which we never heard whether it arrived, and now see that it did. */
  arrived() {
    const { words, since } = this.unsure
    const here = this.fold.root.rows.some((row) => row.kind === 'user' && row.id > since && row.text.trim() === words)
    if (here && this.input.value.trim() === words) this.clear(this.unsure)
    else if (here) this.unsure = null
  }

  /** It is sent; what was written and attached meanwhile stays. */
  clear({ words, files }) {
    this.unsure = null
    const now = this.input.value.trimStart()
    if (now.startsWith(words)) this.input.value = now.slice(words.length).trimStart()
    this.files = this.files.filter((file) => !files.includes(file))
    this.key = null
    this.model = null
    this.agent = ''
    this.keep()
    this.paintFiles()
    this.sent()
  }

  /** As a turn, or into the turn that is under way; where the one turns out to be the other, as that. */
  async deliver(message) {
    const inside = this.fold.head.turn
    try {
      await (inside ? this.queueUp(message) : this.run(message))
    } catch (error) {
      if (!inside && (BUSY.has(error.code) || error.status === 409)) return this.queueUp(message)
      if (inside && NEVER.has(error.code) && error.status !== 0) return this.run(message)
      throw error
    }
  }

  run(message) {
    const { head } = this.fold
    const agent = this.agent || (head.team.length > 1 ? head.agent : '')
    const path = `${this.path}/agent/${part(this.source)}${agent ? `/${part(agent)}` : ''}`
    return this.api.begin(path, { messages: [message], ...(this.model ? { model: this.model } : {}) }, { query: { detach: 'true' }, timeout: 120_000 })
  }

  /** The same key for the same words: a message whose answer was lost on the way is not queued twice. */
  queueUp(message) {
    const steer = this.mode === 'steer' && this.fold.busy
    if (steer) return this.api.post(`${this.path}/steer`, { messages: [message] })
    const words = JSON.stringify(message)
    if (this.key?.words !== words) this.key = { words, key: unique() }
    return this.api.post(`${this.path}/followup`, { messages: [message] }, { headers: { 'idempotency-key': this.key.key } })
  }

  async cancel() {
    try {
      await this.api.post(`${this.path}/cancel`)
    } catch (error) {
      complain(error, 'stop it')
    }
  }

  // -- who, and on what -----------------------------------------------------------------------------------

  agents() {
    const { head } = this.fold
    if (head.team.length < 2) return this.pickSource()
    menu(this.who, head.team.map(({ name, description }) => ({
      label: description ? `${name} · ${short(description, 70)}` : name, icon: name === (this.agent || head.agent) ? 'check' : 'forward',
      act: () => {
        this.agent = name === head.agent ? '' : name
        this.paint()
        this.input.focus()
      },
    })), { label: 'Agent for the next message' })
  }

  pickSource() {
    menu(this.who, (this.sources ?? []).map(({ name, description }) => ({
      label: description ? `${name} · ${short(description, 70)}` : name, icon: name === this.source ? 'check' : 'forward',
      act: () => {
        this.picked = name
        this.paint()
        this.input.focus()
      },
    })), { label: 'Agent for this session' })
  }

  async models() {
    try {
      const { models = [] } = await this.api.get(`${this.path}/models`)
      if (models.length === 0) return toast('There is no other model to choose.')
      const items = models.slice(0, 60).map(({ name, ref, is_current: is }) => ({
        label: name === ref ? ref : `${name} · ${ref}`, icon: (this.model === null ? is : ref === this.model) ? 'check' : 'forward',
        act: () => {
          this.model = is ? null : ref
          this.paint()
          if (this.fold.head.turn && this.model) toast('The next turn uses this model.')
          this.input.focus()
        },
      }))
      menu(this.which, items, { label: 'Model for the next turn' })
    } catch (error) {
      if (NEVER.has(error.code) || error.status === 404) toast('The models are known once the session has run.')
      else complain(error, 'list the models')
    }
  }

  /** Ask before what is written would be lost. */
  async leave() {
    return this.files.length === 0 || confirm({ title: 'Leave the attachments behind?', yes: 'Leave' })
  }
}

function tail(model) {
  return String(model ?? '').split('/').at(-1)
}

function fenced(words) {
  let mark = '```'
  while (words.includes(mark)) mark += '`'
  return `${mark}\n${words}\n${mark}`
}

const ATTACHED = /^(.+):\n\n(`{3,})\n([^]*)\n\2$/

/** A message that was sent, as what was written and attached for it. */
function parted({ content = '', multi_content: parts = [] }) {
  const files = []
  const said = []
  for (const { type, text: words, image_url: picture } of parts) {
    const [, name, , inside] = (type === 'text' && ATTACHED.exec(words)) || []
    if (picture?.url) files.push({ name: 'picture', url: picture.url })
    else if (name) files.push({ name, words: inside })
    else if (type === 'text') said.push(words)
  }
  return { words: content || said.join('\n\n'), files }
}

function unique() {
  return globalThis.crypto?.randomUUID?.() ?? `${Date.now()}-${Math.random().toString(36).slice(2)}`
}

/** A picture small enough for a request: as it is, or drawn anew. */
async function picture(file) {
  if (file.size < 300_000 && /image\/(png|jpeg|gif|webp)/.test(file.type)) return { name: file.name || 'picture', url: await dataUrl(file) }
  const bitmap = await createImageBitmap(file).catch(() => { throw new Error(`${file.name || 'The picture'} can’t be read as a picture.`) })
  for (const [side, quality] of [[PICTURE, 0.86], [PICTURE, 0.7], [1024, 0.7], [768, 0.6]]) {
    const scale = Math.min(1, side / Math.max(bitmap.width, bitmap.height))
    const canvas = h('canvas', { width: Math.round(bitmap.width * scale), height: Math.round(bitmap.height * scale) })
    canvas.width = Math.round(bitmap.width * scale)
    canvas.height = Math.round(bitmap.height * scale)
    canvas.getContext('2d').drawImage(bitmap, 0, 0, canvas.width, canvas.height)
    const url = canvas.toDataURL('image/jpeg', quality)
    if (url.length < 400_000) return { name: file.name || 'picture', url }
  }
  throw new Error(`${file.name || 'The picture'} is too large to send.`)
}

async function written(file) {
  if (file.size > FILE) throw new Error(`${file.name} is larger than ${FILE / 1000} kB: put it where the agent can read it, and name its path.`)
  const words = await file.text()
  if (/\0/.test(words) || words.includes('\ufffd')) throw new Error(`${file.name} is no text: only pictures and text can be attached.`)
  return { name: file.name, words }
}

function dataUrl(file) {
  return new Promise((done, failed) => {
    const reader = new FileReader()
    reader.onload = () => done(reader.result)
    reader.onerror = () => failed(new Error(`${file.name} can’t be read.`))
    reader.readAsDataURL(file)
  })
}
