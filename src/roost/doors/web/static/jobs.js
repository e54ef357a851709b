/** What takes long, as a bar: how far it is, or that it goes on. */

import { h, text } from './dom.js'
import { bytes, span, moment } from './words.js'

/** A job's bar; `node.$paint(job)` brings it up to date. */
export function bar(job) {
  const title = h('span', { class: 'job-title' })
  const far = h('span', { class: 'job-far' })
  const fill = h('div', { class: 'job-fill' })
  const track = h('div', { class: 'job-track', role: 'progressbar' }, fill)
  const wrong = h('p', { class: 'wrong' })
  const node = h('div', { class: 'job' }, h('div', { class: 'job-line' }, title, far), track, wrong)
  node.$paint = (now) => {
    const share = now.ended_at ? 1 : now.total ? Math.min(1, now.done / now.total) : null
    text(title, now.title || now.what)
    text(far, now.error ? 'failed' : now.ended_at ? `done in ${span((moment(now.ended_at) - moment(now.started_at)) / 1000)}` : amount(now))
    track.setAttribute('aria-label', now.title || now.what)
    track.classList.toggle('unknown', share === null)
    track.classList.toggle('failed', Boolean(now.error))
    if (share === null) track.removeAttribute('aria-valuenow')
    else track.setAttribute('aria-valuenow', String(Math.round(share * 100)))
    fill.style.setProperty('width', share === null ? '30%' : `${share * 100}%`)
    text(wrong, now.error ?? '')
    wrong.hidden = !now.error
  }
  node.$paint(job)
  return node
}

function amount({ done, total, unit }) {
  const say = unit === 'bytes' || unit === 'B' ? bytes : (number) => `${number.toLocaleString()}`
  const what = unit && unit !== 'bytes' && unit !== 'B' ? ` ${unit}` : ''
  if (total) return `${say(done)} of ${say(total)}${what}`
  return done ? `${say(done)}${what}` : ''
}
