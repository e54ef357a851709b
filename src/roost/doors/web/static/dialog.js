/** Questions in the middle of the screen, and menus at a button: all modal, all left with Escape. */

import { h } from './dom.js'
import { icon } from './icons.js'

/** Show a dialog; resolves with what it was closed with, or null.  `build(close)` gives what stands in it. */
export function dialog(build, { label, kind = '' } = {}) {
  const back = document.activeElement
  return new Promise((done) => {
    let value = null
    const close = (given = null) => { value = given; box.close() }
    const box = h('dialog', { class: ['dialog', kind], 'aria-label': label })
    box.append(...[build(close, box)].flat().filter(Boolean))
    box.addEventListener('click', (event) => { if (event.target === box) close() })
    box.addEventListener('close', () => {
      box.remove()
      const held = document.activeElement
      if (back?.isConnected && (!held || held === document.body)) back.focus({ preventScroll: true }) // who went elsewhere stays there
      done(value)
    })
    document.body.append(box)
    box.showModal()
    const first = box.querySelector('[autofocus]')
    first?.focus()
    first?.select?.()
  })
}

/** Ask yes or no. */
export async function confirm({ title, body = '', yes = 'OK', danger = false }) {
  return (await dialog((close) => [
    h('h2', {}, title),
    body && h('p', {}, body),
    h('div', { class: 'actions' },
      h('button', { class: 'button', type: 'button', autofocus: danger, onClick: () => close(null) }, 'Cancel'),
      h('button', { class: ['button', danger ? 'danger' : 'primary'], type: 'button', autofocus: !danger, onClick: () => close(true) }, yes)),
  ], { label: title })) === true
}

/** Ask for a line of text; null where it was left. */
export function ask({ title, label, value = '', yes = 'Save', hint = '', max = 0, empty = false }) {
  return dialog((close) => {
    const input = h('input', { class: 'input', id: 'asked', value, autofocus: true, autocomplete: 'off', spellcheck: false })
    if (max) input.maxLength = max
    return h('form', { class: 'stack', method: 'dialog', onSubmit: (event) => {
      event.preventDefault()
      if (empty || input.value.trim()) close(input.value.trim())
    } },
    h('h2', {}, title),
    h('div', { class: 'field' }, h('label', { for: 'asked' }, label), input, hint && h('p', { class: 'why' }, hint)),
    h('div', { class: 'actions' },
      h('button', { class: 'button', type: 'button', onClick: () => close(null) }, 'Cancel'),
      h('button', { class: 'button primary', type: 'submit' }, yes)))
  }, { label: title })
}

/**
 * A menu at a button; on a narrow screen it comes up from below.
 * @param {HTMLElement} anchor @param {Array<null | false | {label: string, icon?: string, danger?: boolean, act: () => void}>} items
 */
export async function menu(anchor, items, { label = 'Actions' } = {}) {
  anchor.setAttribute('aria-expanded', 'true')
  const chosen = await dialog((close, box) => {
    const list = h('div', { class: 'menu', role: 'menu', 'aria-label': label, onKeydown: arrows },
      items.filter(Boolean).map((item, index) => h('button', {
        class: ['item', item.danger && 'danger'], type: 'button', role: 'menuitem', autofocus: index === 0, onClick: () => close(item),
      }, icon(item.icon ?? 'forward'), h('span', {}, item.label))))
    requestAnimationFrame(() => put(box, anchor))
    return list
  }, { label, kind: 'at' })
  anchor.setAttribute('aria-expanded', 'false')
  chosen?.act()
}

function put(box, anchor) {
  if (innerWidth < 900 || !anchor.isConnected) return
  const [at, own] = [anchor.getBoundingClientRect(), box.getBoundingClientRect()]
  const left = Math.max(8, Math.min(at.right - own.width, innerWidth - own.width - 8))
  const under = at.bottom + 4
  const top = under + own.height < innerHeight - 8 ? under : Math.max(8, at.top - own.height - 4)
  box.style.setProperty('left', `${Math.max(left, Math.min(at.left, innerWidth - own.width - 8))}px`)
  box.style.setProperty('top', `${top}px`)
}

function arrows(event) {
  const items = [...event.currentTarget.querySelectorAll('.item')]
  const at = items.indexOf(document.activeElement)
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key]
  if (to === undefined) return
  event.preventDefault()
  items[(to + items.length) % items.length].focus()
}
