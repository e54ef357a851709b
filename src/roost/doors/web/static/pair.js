/** The gate: a browser that the server does not know is paired here, by a link, a code, a token or an account. */

import { fill, h, text } from './dom.js'
import { icon, mark } from './icons.js'
import { worded } from './toast.js'

/** Mount the gate.  A `code` out of a link is tried at once; `onIn` is called when the browser is known. */
export function mountGate(root, { api, code = '', why = '', onIn }) {
  const box = h('main', { class: 'gate' })
  fill(root, box)
  const gate = new Gate(box, api, onIn)
  if (code) gate.open(code)
  else gate.ask(why)
  return { unmount: () => fill(root) }
}

class Gate {
  constructor(box, api, onIn) {
    this.box = box
    this.api = api
    this.onIn = onIn
  }

  head(title) {
    return [h('div', { class: 'gate-mark' }, mark()), h('h1', { tabIndex: -1 }, title), h('p', { class: 'why' }, this.api.session?.host ? `${this.api.session.host} · Roost ${this.api.session.version ?? ''}` : 'Roost')]
  }

  /** A link was opened. */
  async open(code) {
    fill(this.box, this.head('Pairing…'), h('p', { role: 'status' }, 'One moment.'))
    try {
      await this.meet(code)
    } catch (error) {
      this.refuse(error)
    }
  }

  refuse(error) {
    this.ask(error.status === 410 ? USED : worded(error), true)
  }

  /** Come in by a code; where several people do, each sees first whose it is: links can be anybody's. */
  async meet(code) {
    if (!this.api.session?.accounts) return this.in('/web/pair', { code })
    this.offer(code, await this.api.post('/web/whose', { code }))
  }

  offer(code, { user, host }) {
    const name = user || 'the operator'
    const go = h('button', { class: 'button primary wide', type: 'submit' }, `Continue as ${name}`)
    const sure = async (event) => {
      event.preventDefault()
      go.disabled = true
      try {
        await this.in('/web/pair', { code })
      } catch (error) {
        this.refuse(error)
      }
    }
    const title = h('h1', { tabIndex: -1, dir: 'auto' }, `Continue as ${name}?`)
    fill(this.box, h('div', { class: 'gate-mark' }, mark()), title,
      h('p', {}, 'This link lets this browser in as ', h('strong', {}, h('bdi', {}, name)), ' on ', h('strong', {}, host), '. ',
        user ? 'What you do here is done in that account, and whoever else uses it sees it.' : 'It may do everything there, with the sessions of all accounts.'),
      h('div', { class: 'note amber' }, icon('warn'), h('div', { dir: 'auto' }, `If somebody sent it to you and you are not ${name}, do not continue.`)),
      h('form', { class: 'stack', onSubmit: sure }, go, h('button', { class: 'button wide', type: 'button', onClick: () => this.ask() }, 'That is not me')))
    title.focus()
  }

  async in(path, body) {
    this.api.introduced(await this.api.post(path, body))
    if (!this.api.session?.csrf) await this.api.who()
    this.onIn()
  }

  /** Ask for what lets one in. */
  ask(why = '', bad = false) {
    const { accounts } = this.api.session ?? {}
    const wrong = h('p', { class: 'wrong', role: 'alert', id: 'gate-wrong', hidden: true })
    const [first, ...rest] = accounts ? [this.account(wrong), this.code(wrong)] : [this.code(wrong)]
    fill(this.box, this.head(bad ? 'That did not pair' : accounts ? 'Log in' : 'Pair this browser'),
      why && h('div', { class: ['note', bad ? 'red' : 'amber'], role: 'alert' }, icon('warn'), h('div', {}, why)),
      first, wrong, rest.map((form) => h('details', { class: 'fold' }, h('summary', {}, 'By a link, a code or a token'), form)))
    if (!why && matchMedia('(hover: hover)').matches) first.querySelector('input').focus()
    else this.box.querySelector('h1').focus()
  }

  code(wrong) {
    const token = h('input', { class: 'input', id: 'gate-token', type: 'password', autocomplete: 'off', 'aria-describedby': 'gate-wrong', placeholder: 'Code or token', autocapitalize: 'off', spellcheck: false })
    const go = h('button', { class: 'button primary wide', type: 'submit' }, 'Pair this browser')
    return h('div', { class: 'stack' },
      h('ol', { class: 'steps' }, h('li', {}, 'On the server’s machine, run ', h('code', {}, 'roost pair'), '.'), h('li', {}, 'Scan what it shows, or open its link here.')),
      h('p', { class: 'or' }, 'or by hand'),
      h('form', { class: 'stack', noValidate: true, onSubmit: (event) => sent(event, go, wrong, () => this.byHand(token)) }, h('div', { class: 'field' }, h('label', { for: token.id }, 'Code or token'), token), go))
  }

  account(wrong) {
    const name = h('input', { class: 'input', id: 'gate-name', autocomplete: 'username', autocapitalize: 'off', spellcheck: false, 'aria-describedby': 'gate-wrong' })
    const word = h('input', { class: 'input', id: 'gate-word', type: 'password', autocomplete: 'current-password', 'aria-describedby': 'gate-wrong' })
    const go = h('button', { class: 'button primary wide', type: 'submit' }, 'Log in')
    const act = () => {
      if (!name.value.trim()) throw new Error('Type the name of your account.')
      return this.in('/web/login', { username: name.value.trim(), password: word.value })
    }
    return h('form', { class: 'stack', noValidate: true, onSubmit: (event) => sent(event, go, wrong, act) },
      h('div', { class: 'field' }, h('label', { for: name.id }, 'Name'), name), h('div', { class: 'field' }, h('label', { for: word.id }, 'Password'), word), go)
  }

  /** What was typed may be a whole link, a code or a token. */
  async byHand(input) {
    const given = input.value.trim()
    if (!given) throw new Error('Type the code that the server shows, or its token.')
    const code = /#pair=([^\s&]+)/.exec(given)?.[1]
    if (code) return this.meet(decodeURIComponent(code))
    const ways = [() => this.meet(given), () => this.in('/web/login', { token: given })]
    if (!CODE.test(given)) ways.reverse()
    try {
      await ways[0]()
    } catch (error) {
      if (!error.status || error.status === 429) throw error
      await ways[1]()
    }
  }
}

/** Try what a form is for, and say what was wrong with it. */
async function sent(event, button, wrong, act) {
  event.preventDefault()
  wrong.hidden = true
  button.disabled = true
  try {
    await act()
  } catch (error) {
    text(wrong, worded(error))
    wrong.hidden = false
  } finally {
    button.disabled = false
  }
}

const CODE = /^[\w-]{22}$/ // what a code looks like; a token may, too
const USED = 'This link was used already, or is older than ten minutes: it works once.'
