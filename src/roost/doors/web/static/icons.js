/** Icons: a few strokes each, drawn for this page on a field of 24. */

import { h, svg } from './dom.js'

const PATHS = {
  sessions: 'M4 6h16M4 12h16M4 18h10',
  inbox: 'M4 13 6.5 5h11L20 13v6H4zM4 13h5a3 3 0 0 0 6 0h5',
  new: 'M12 5v14M5 12h14',
  more: 'M5 11.2a.8.8 0 1 0 0 1.6 .8.8 0 0 0 0-1.6 zM12 11.2a.8.8 0 1 0 0 1.6 .8.8 0 0 0 0-1.6 zM19 11.2a.8.8 0 1 0 0 1.6 .8.8 0 0 0 0-1.6 z',
  search: 'M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM16 16l4.5 4.5',
  star: 'm12 4 2.5 5.2 5.5.8-4 4 1 5.7-5-2.8-5 2.8 1-5.7-4-4 5.5-.8z',
  back: 'M15 5l-7 7 7 7',
  forward: 'M9 5l7 7-7 7',
  down: 'M5 9l7 7 7-7',
  close: 'M6 6l12 12M18 6 6 18',
  check: 'M5 12.500l4.5 4.500L19 7',
  gear: 'M12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM12 3v3M12 18v3M3 12h3M18 12h3M5.6 5.600l2.2 2.200M16.2 16.200l2.2 2.200M5.6 18.400l2.2-2.200M16.2 7.800l2.2-2.2',
  pulse: 'M3 12h4l3-7 4 14 3-7h4',
  pen: 'M5 19l1-4L16 5l3 3L9 18zM14 7l3 3',
  trash: 'M5 7h14M9 7V5h6v2M7 7l1 13h8l1-13M10 11v5M14 11v5',
  stop: 'M7 7h10v10H7z',
  play: 'M8 5l11 7-11 7z',
  send: 'M12 19V5M6 11l6-6 6 6',
  warn: 'M12 4 3 19h18zM12 10v4M12 16.500h.01',
  info: 'M12 20a8 8 0 1 0 0-16 8 8 0 0 0 0 16zM12 11v5M12 8h.01',
  bell: 'M6 16V11a6 6 0 0 1 12 0v5l1.5 2h-15zM10 20.500h4',
  phone: 'M8 3h8v18H8zM11 18h2',
  link: 'M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1',
  book: 'M5 5h6a2 2 0 0 1 2 2v13a2 2 0 0 0-2-2H5zM21 5h-6a2 2 0 0 0-2 2v13a2 2 0 0 1 2-2h6z',
  sun: 'M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.400M17.6 17.6 19 19M5 19l1.4-1.400M17.6 6.4 19 5',
  out: 'M14 5H6v14h8M10 12h11M17 8l4 4-4 4',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  refresh: 'M19 8a8 8 0 1 0 1 6M20 4v5h-5',
  branch: 'M7 5v14M7 14c8 0 10-3 10-7M17 7a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM7 5a1.5 1.5 0 1 0 0-.01M7 21a2 2 0 1 0 0-4 2 2 0 0 0 0 4z',
  clock: 'M12 20a8 8 0 1 0 0-16 8 8 0 0 0 0 16zM12 8v4l3 2',
  attach: 'M19 11l-7.5 7.500a4.5 4.5 0 0 1-6.5-6.500L13 4a3 3 0 0 1 4.5 4.500L10 16a1.5 1.5 0 0 1-2-2l6.5-6.5',
  file: 'M6 3h8l4 4v14H6zM14 3v4h4',
  terminal: 'M4 5h16v14H4zM7.5 9.500l3 2.5-3 2.500M13 15h3.5',
  offline: 'M4 4l16 16M8.5 8.200A6 6 0 0 0 6.5 19h11M11 6.100A6 6 0 0 1 17.5 11 4 4 0 0 1 20.5 16.5',
}

/** An icon by name; decoration alone, what it means stands beside it or in a label. */
export function icon(name, extra = '') {
  return svg(
    'svg',
    {
      class: `icon ${extra}`.trim(), viewBox: '0 0 24 24', fill: 'none', stroke: 'currentColor', 'stroke-width': 1.8,
      'stroke-linecap': 'round', 'stroke-linejoin': 'round', 'aria-hidden': 'true', focusable: 'false',
    },
    svg('path', { d: PATHS[name] ?? PATHS.info }),
  )
}

/** On a phone, the way back to where a view was chosen. */
export function toMore() {
  return h('a', { class: 'tool to-more', href: '#/more', 'aria-label': 'More' }, icon('back'))
}

/** The bird on its perch. */
export function mark() {
  return svg(
    'svg',
    { class: 'icon', viewBox: '0 0 24 24', 'aria-hidden': 'true', focusable: 'false' },
    svg('path', { fill: 'currentColor', d: MARK }),
    svg('path', { fill: 'none', stroke: 'currentColor', 'stroke-width': 1.8, 'stroke-linecap': 'round', d: 'M2.5 19.500h19M9.5 16.500v3M13 16.500v3' }),
  )
}

const MARK =
  'M16.5 3.500a4 4 0 0 0-4 4v.5C8.5 8 5.5 10.5 3 15.500c-.4.8.2 1.5 1 1.3 1.4-.3 2.5-.8 3.5-1.3 1 .8 2.3 1.3 3.8 1.3 5 0 8.2-3.3 8.7-8.300L22 7.300l-2-.8a4 4 0 0 0-3.5-3zm.5 3a1 1 0 1 1 0 2 1 1 0 0 1 0-2z'
