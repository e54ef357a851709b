/** The gate: a browser that the server does not know is paired here, by a link, a code, a token or an account. */

import { fill, h, text } from './dom.js'
import { icon, mark } from './icons.js'
import { worded } from './toast.js'

/** Mount the gate.  A `code` out of a link is tried at once; `onIn` is called when the browser is known. */
export function mountGate(root, { api, code = '', why = '', onIn }) {
  const box = h('main', { class: 'gate' })
  fill(root, box)
  const gate = new Gate(box, api, onIn)
  if (code) gate.pair(code)
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

  async pair(code) {
    fill(this.box, this.head('Pairing…'), h('p', { role: 'status' }, 'One moment.'))
    try {
      await this.in('/web/pair', { code })
    } catch (error) {
      this.ask(error.status === 410 ? USED : worded(error), true)
    }
  }

  async in(path, body) {
    this.api.introduced(await this.api.post(path, body))
    if (!this.api.session?.csrf) await this.api.who()
    this.onIn()
  }

  /** Ask for what lets one in. */
  ask(why = '', bad = false) {
    const wrong = h('p', { class: 'wrong', role: 'alert', id: 'gate-wrong', hidden: true })
    const token = h('input', { class: 'input', id: 'gate-token', type: 'password', autocomplete: 'off', 'aria-describedby': 'gate-wrong', placeholder: 'Code or token', autocapitalize: 'off', spellcheck: false })
    const name = h('input', { class: 'input', id: 'gate-name', autocomplete: 'username', autocapitalize: 'off', spellcheck: false })
    const word = h('input', { class: 'input', id: 'gate-word', type: 'password', autocomplete: 'current-password' })
    const send = (button, act) => async (event) => {
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
    const go = h('button', { class: 'button primary wide', type: 'submit' }, 'Pair this browser')
    const login = h('button', { class: 'button wide', type: 'submit' }, 'Log in')
    fill(this.box, this.head(bad ? 'That did not pair' : 'Pair this browser'),
      why && h('div', { class: ['note', bad ? 'red' : 'amber'], role: 'alert' }, icon('warn'), h('div', {}, why)),
      h('ol', { class: 'steps' }, h('li', {}, 'On the server’s machine, run ', h('code', {}, 'roost pair'), '.'), h('li', {}, 'Scan what it shows, or open its link here.')),
      h('p', { class: 'or' }, 'or by hand'),
      h('form', { class: 'stack', noValidate: true, onSubmit: send(go, () => this.byHand(token)) }, h('div', { class: 'field' }, h('label', { for: token.id }, 'Code or token'), token), go),
      h('details', { class: 'fold' }, h('summary', {}, 'With an account'),
        h('form', { class: 'stack', noValidate: true, onSubmit: send(login, () => this.in('/web/login', { username: name.value.trim(), password: word.value })) },
          h('div', { class: 'field' }, h('label', { for: name.id }, 'Name'), name), h('div', { class: 'field' }, h('label', { for: word.id }, 'Password'), word), login)),
      wrong)
    if (why) this.box.querySelector('h1').focus()
    else if (matchMedia('(hover: hover)').matches) token.focus()
  }

  /** What was typed may be a whole link, a code or a token. */
  async byHand(input) {
    const given = input.value.trim()
    if (!given) throw new Error('Type the code that the server shows, or its token.')
    const code = /#pair=([^\s&]+)/.exec(given)?.[1]
    if (code) return this.in('/web/pair', { code: decodeURIComponent(code) })
    const ways = [() => this.in('/web/pair', { code: given }), () => this.in('/web/login', { token: given })]
    if (!CODE.test(given)) ways.reverse()
    try {
      await ways[0]()
    } catch (error) {
      if (!error.status || error.status === 429) throw error
      await ways[1]()
    }
  }
}

const CODE = /^[\w-]{22}$/ // what a code looks like; a token may, too
const USED = 'This link was used already, or is older than ten minutes: it works once.'
