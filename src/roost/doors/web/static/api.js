/** Requests to the server: the cookie's guard, errors with names, and another try where that can do no harm. */

const TRIES = 3
const PATIENCE = 30_000
const WHO = '/web/session' // open to all: it tells the guard's word

/** The server has said no. */
export class Refused extends Error {
  /** @param {number} status @param {string} code @param {string} message @param {any} body @param {number} retryAfter seconds */
  constructor(status, code, message, body = null, retryAfter = 0) {
    super(message)
    this.name = 'Refused'
    this.status = status
    this.code = code
    this.body = body
    this.retryAfter = retryAfter
  }
}

/** The server could not be reached, or did not answer. */
export class Unreached extends Error {
  constructor(message = 'The server can’t be reached.') {
    super(message)
    this.name = 'Unreached'
    this.status = 0
    this.code = 'unreached'
  }
}

/** The requests of one page.  `fetch` may be another's, for tests. */
export class Api {
  #fetch
  #csrf = ''
  #strangers = new Set()
  #asked = null

  constructor({ fetch = (...of) => globalThis.fetch(...of) } = {}) {
    this.#fetch = fetch
    /** What GET /web/session said last. */
    this.session = null
  }

  /** Who we are here; also brings the word that unsafe requests must carry. */
  async who() {
    this.#asked ??= this.get(WHO).finally(() => (this.#asked = null))
    return this.introduced(await this.#asked)
  }

  /** Take in what /web/session, /web/pair or /web/login has answered. */
  introduced(session) {
    this.session = session
    this.#csrf = session.csrf ?? ''
    return session
  }

  /** Be told when the server no longer knows us.  Returns what ends that. */
  onStranger(told) {
    this.#strangers.add(told)
    return () => this.#strangers.delete(told)
  }

  /** Tell those who want to know that the server does not know us. */
  stranger() {
    for (const told of [...this.#strangers]) told()
  }

  /** A GET; tried again where the server could not be reached.  @param {{query?: object, signal?: AbortSignal, timeout?: number, tries?: number}} [how] */
  async get(path, how = {}) {
    const tries = how.tries ?? TRIES
    for (let tried = 1; ; tried++) {
      try {
        return await this.#guarded('GET', path, undefined, how)
      } catch (error) {
        const passing = error instanceof Unreached || [502, 503, 504].includes(error.status)
        if (!passing || tried >= tries || how.signal?.aborted) throw error
        await pause(300 * 2 ** tried * (0.5 + Math.random()), how.signal)
      }
    }
  }

  post(path, body, how) {
    return this.#guarded('POST', path, body, how)
  }

  patch(path, body, how) {
    return this.#guarded('PATCH', path, body, how)
  }

  put(path, body, how) {
    return this.#guarded('PUT', path, body, how)
  }

  delete(path, how) {
    return this.#guarded('DELETE', path, how?.body, how)
  }

  /** A POST that is answered by a stream which somebody else reads: done as soon as it is accepted. */
  begin(path, body, how) {
    return this.#guarded('POST', path, body, { ...how, begin: true })
  }

  /** Tried again where the guard's word was an old one: then nothing has happened yet. */
  async #guarded(method, path, body, how = {}) {
    try {
      return await this.#ask(method, path, body, how)
    } catch (error) {
      if (path === WHO || !(error.status === 403 && /csrf/i.test(`${error.code} ${error.message}`))) throw error
      const old = this.#csrf
      await this.who()
      if (old === this.#csrf) throw error
      return this.#ask(method, path, body, how)
    }
  }

  async #ask(method, path, body, { query, signal, timeout = PATIENCE, begin = false, keepalive = false, headers: more = {} } = {}) {
    const headers = { accept: begin ? 'text/event-stream' : 'application/json', ...more }
    if (body !== undefined) headers['content-type'] = 'application/json'
    // with a GET too: over plain HTTP from another machine browsers send nothing else that shows where a request comes from
    if (this.#csrf) headers['x-roost-csrf'] = this.#csrf
    const clock = new AbortController()
    const timer = setTimeout(() => clock.abort(), timeout)
    const stop = () => clock.abort()
    signal?.addEventListener('abort', stop)
    try {
      const response = await this.#fetch(path + search(query), {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: clock.signal,
        credentials: 'same-origin',
        cache: 'no-store',
        redirect: 'error',
        keepalive,
      })
      if (begin && response.ok) {
        await response.body?.cancel()
        return null
      }
      return await this.#read(response)
    } catch (error) {
      if (error instanceof Refused || signal?.aborted) throw error
      throw new Unreached(clock.signal.aborted ? 'The server did not answer in time.' : undefined)
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', stop)
    }
  }

  async #read(response) {
    const raw = await response.text()
    const value = parsed(raw)
    if (response.ok) return value
    const said = value && typeof value === 'object' ? value : {}
    const inner = said.error && typeof said.error === 'object' ? said.error : said
    const message = inner.message || (typeof said.error === 'string' ? said.error : '') || said.detail || worded(response)
    if (response.status === 401 && !/\/web\/(pair|login)$/.test(new URL(response.url, location.href).pathname)) {
      this.stranger()
    }
    const after = Number(response.headers.get('retry-after')) || 0
    throw new Refused(response.status, String(inner.code ?? ''), String(message), value, after)
  }
}

function parsed(raw) {
  if (!raw) return null
  try {
    return JSON.parse(raw)
  } catch {
    return raw
  }
}

function worded(response) {
  return `The server answered ${response.status}${response.statusText ? ` (${response.statusText})` : ''}.`
}

/** A query string out of an object; what is null, false or empty is left out. */
export function search(query) {
  const pairs = Object.entries(query ?? {}).filter(([, value]) => value !== null && value !== undefined && value !== false && value !== '')
  return pairs.length ? `?${new URLSearchParams(pairs.map(([name, value]) => [name, String(value)]))}` : ''
}

/** Wait so many milliseconds, or until the signal says that it is for nothing. */
export function pause(ms, signal) {
  return new Promise((done, cut) => {
    const timer = setTimeout(done, ms)
    signal?.addEventListener('abort', () => {
      clearTimeout(timer)
      cut(signal.reason)
    })
  })
}

/** One segment of a path. */
export const part = encodeURIComponent

/** The API of this page. */
export const api = new Api()
