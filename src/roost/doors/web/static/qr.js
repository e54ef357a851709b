/** A QR code, drawn from its modules. */

import { svg } from './dom.js'

const QUIET = 4

/** @param {string[]} matrix rows of `0` and `1` */
export function qr(matrix, label) {
  const size = matrix.length + 2 * QUIET
  let path = ''
  matrix.forEach((row, y) => {
    for (const run of row.matchAll(/1+/g)) path += `M${run.index + QUIET} ${y + QUIET}h${run[0].length}v1h-${run[0].length}z`
  })
  return svg('svg', { class: 'qr', viewBox: `0 0 ${size} ${size}`, role: 'img', 'aria-label': label, 'shape-rendering': 'crispEdges' },
    svg('rect', { width: size, height: size, fill: '#fff' }), svg('path', { d: path, fill: '#000' }))
}
