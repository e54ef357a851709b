/** Elements, signals and lists that keep their nodes: all that the page needs of a framework. */

const SVG = 'http://www.w3.org/2000/svg'

/**
 * An element.  What is text goes in as text: nothing here reads HTML.
 *
 * `attrs`: `class` is a string or a list (false ones are left out); `data` an object; `style` an object of properties;
 * `onClick` and the like listen; `value`, `checked`, `disabled` and other properties of the element are set as such;
 * the rest are attributes (true = empty, false/null = absent).  `ref` is called with the element.
 * Children: strings, numbers, nodes, lists of them; null and false are nothing.
 * @returns {HTMLElement}
 */
export function h(tag, attrs, ...children) {
  const element = document.createElement(tag)
  set(element, attrs)
  append(element, children)
  return element
}

/** The same for SVG. */
export function svg(tag, attrs, ...children) {
  const element = document.createElementNS(SVG, tag)
  for (const [name, value] of Object.entries(attrs ?? {})) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(name, String(value))
  }
  append(element, children)
  return element
}

/** Set attributes as `h` takes them. */
export function set(element, attrs) {
  for (const [name, value] of Object.entries(attrs ?? {})) {
    if (name === 'class') element.className = classes(value)
    else if (name === 'ref') value(element)
    else if (name === 'data') Object.assign(element.dataset, value)
    else if (name === 'style') for (const [key, how] of Object.entries(value)) element.style.setProperty(key, how)
    else if (name.startsWith('on') && typeof value === 'function') {
      element.addEventListener(name.slice(2).toLowerCase(), value)
    } else if (value === null || value === undefined || value === false) {
      if (name in element && typeof element[name] === 'boolean') element[name] = false
      element.removeAttribute(name)
    } else if (name in element && !name.includes('-') && !AS_ATTRIBUTE.has(name)) element[name] = value
    else element.setAttribute(name, value === true ? '' : String(value))
  }
  return element
}

const AS_ATTRIBUTE = new Set(['list', 'form', 'type', 'width', 'height', 'role', 'popover', 'href', 'download', 'for'])

/** Class names out of strings, lists and nothings. */
export function classes(value) {
  return Array.isArray(value) ? value.filter(Boolean).join(' ') : (value || '')
}

/** Append children as `h` takes them. */
export function append(parent, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false || child === true) continue
    if (Array.isArray(child)) append(parent, child)
    else parent.append(child instanceof Node ? child : document.createTextNode(String(child)))
  }
  return parent
}

/** Put these in the place of all that is in `parent`. */
export function fill(parent, ...children) {
  parent.replaceChildren()
  return append(parent, children)
}

/** Change text only where it differs, so that a selection survives. */
export function text(node, value) {
  const wanted = value === null || value === undefined ? '' : String(value)
  if (node.textContent !== wanted) node.textContent = wanted
}

const sheets = new Map()

/** Resolves once a stylesheet is there, or can't be; asked for the first time, it is fetched. */
export function styled(href) {
  if (!sheets.has(href)) {
    sheets.set(href, new Promise((done) => {
      document.head.append(h('link', { rel: 'stylesheet', href, onLoad: done, onError: done }))
    }))
  }
  return sheets.get(href)
}

// -- lists ----------------------------------------------------------------------------------------------------------

/**
 * Make the children of `parent` be one node for each item, in order.  A node lives as long as its key is there: it is
 * made by `create(item)`, told of news by `update(node, item)`, and moved only where the order has changed.
 */
export function keyed(parent, items, key, create, update = () => {}) {
  const nodes = parent.$keyed ?? (parent.$keyed = new Map())
  const wanted = new Set(items.map(key))
  const focused = parent.contains(document.activeElement) ? document.activeElement : null
  for (const [name, node] of nodes) {
    if (!wanted.has(name)) {
      nodes.delete(name)
      node.remove()
    }
  }
  let cursor = parent.firstChild
  for (const item of items) {
    const name = key(item)
    let node = nodes.get(name)
    if (node === undefined) nodes.set(name, (node = create(item)))
    else update(node, item)
    if (node !== cursor && cursor !== null && cursor.nextSibling === node) {
      cursor.remove() // it has gone further down, and comes back when its turn does
      cursor = node
    }
    if (node === cursor) cursor = cursor.nextSibling
    else parent.insertBefore(node, cursor)
  }
  if (focused !== null && focused !== document.activeElement && parent.contains(focused)) {
    focused.focus({ preventScroll: true })
  }
}

// -- signals --------------------------------------------------------------------------------------------------------

let running = null // the effect that runs now: what it reads, it depends on
let owner = null // where the effects that are made now are kept, to be ended together

/** A value that tells the effects that have read it when it becomes another. */
export function signal(value) {
  const readers = new Set()
  return {
    get value() {
      if (running !== null) {
        readers.add(running)
        running.sources.add(readers)
      }
      return value
    },
    set value(next) {
      if (Object.is(next, value)) return
      value = next
      for (const reader of [...readers]) schedule(reader)
    },
    /** The value, without depending on it. */
    peek: () => value,
    /** It is the same value, but something in it has changed. */
    touch() {
      for (const reader of [...readers]) schedule(reader)
    },
  }
}

/** Run `body` now, and again in the next frame after any signal that it has read has changed.  Returns what ends it. */
export function effect(body) {
  const run = () => {
    forget(run)
    if (run.ended) return
    const before = running
    running = run
    try {
      body()
    } finally {
      running = before
    }
  }
  run.sources = new Set()
  run.ended = false
  const end = () => {
    run.ended = true
    forget(run)
  }
  if (owner !== null) owner.push(end)
  run()
  return end
}

function forget(run) {
  for (const readers of run.sources) readers.delete(run)
  run.sources.clear()
}

/** Run `body`; returns `[what it returned, end]`, where `end()` ends all effects that were made in it. */
export function scope(body) {
  const before = owner
  const ends = []
  owner = ends
  try {
    return [body(), () => ends.splice(0).forEach((end) => end())]
  } finally {
    owner = before
  }
}

// -- frames ---------------------------------------------------------------------------------------------------------

const due = new Set()
let asked = false

/** Run `job` in the next animation frame, once however often it is asked for; on a hidden page, soon. */
export function schedule(job) {
  due.add(job)
  if (asked) return
  asked = true
  if (document.hidden) setTimeout(flush, 50)
  else {
    const timer = setTimeout(flush, 250) // a page that is covered gets no frames
    requestAnimationFrame(() => {
      clearTimeout(timer)
      flush()
    })
  }
}

/** Run now what is due. */
export function flush() {
  asked = false
  const jobs = [...due]
  due.clear()
  for (const job of jobs) {
    try {
      job()
    } catch (error) {
      reportError(error) // one that fails takes no other with it
    }
  }
}
