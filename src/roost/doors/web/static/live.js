/** The one line to the server: whole screens over a WebSocket that comes back by itself, no event lost or doubled. */

const SILENCE = 25_000 // the server beats every 10 s
const FIRST = 400
const LONGEST = 20_000
const OPENING = 15_000

/**
 * `new Live({ api }).open()`, then `follow` and `on`.
 *
 * What it tells (`on(word, fn)`; each returns what ends it):
 * `state` {state, since, seen, retry}: `opening` | `open` | `down` (tries again at `retry`) | `offline` | `closed`;
 * `hello` {version, host, server}; `row` a row of the list; `gone` a session's id; `waits` the whole list; `jobs` the whole list;
 * `refused` {session, code, message}.
 */
export class Live {
  #api
  #make
  #url
  #socket = null
  #follows = new Map() // session → {readers, since: what was asked for, heard: whether the server follows from there}
  #listeners = new Map()
  #state = { state: 'closed', since: Date.now(), seen: 0, retry: 0 }
  #tries = 0
  #heard = 0
  #watch = 0
  #again = 0
  #wanted = false
  #last = new Map() // what was told last of waits, jobs, hello: for those who come later

  constructor({ api = null, url = address(), make = (to) => new WebSocket(to) } = {}) {
    this.#api = api
    this.#url = url
    this.#make = make
  }

  get state() {
    return this.#state
  }

  /** Connect, and stay connected. */
  open() {
    if (this.#wanted) return this
    this.#wanted = true
    addEventListener('online', this.#wake)
    addEventListener('offline', this.#lose)
    addEventListener('pageshow', this.#wake)
    document.addEventListener('visibilitychange', this.#wake)
    this.#watch = setInterval(() => this.#look(), 2_500)
    this.#connect()
    return this
  }

  /** Let go, until `open` is called again. */
  close() {
    this.#wanted = false
    removeEventListener('online', this.#wake)
    removeEventListener('offline', this.#lose)
    removeEventListener('pageshow', this.#wake)
    document.removeEventListener('visibilitychange', this.#wake)
    clearInterval(this.#watch)
    clearTimeout(this.#again)
    this.#drop()
    this.#become('closed')
  }

  /** Try now, where the line is down. */
  retry() {
    if (!this.#wanted || this.#state.state === 'open') return
    this.#tries = 0
    this.#connect()
  }

  /** Be told.  What holds until it changes (`state`, `hello`, `waits`, `jobs`) is told at once where it is known. */
  on(word, told) {
    const all = this.#listeners.get(word) ?? new Set()
    this.#listeners.set(word, all.add(told))
    if (word === 'state') told(this.#state)
    else if (this.#last.has(word)) told(this.#last.get(word))
    return () => all.delete(told)
  }

  /**
   * Every event of a session past `since`, then every new one.
   *
   * `onEvents` gets lists of `{id, event}` with growing ids, none twice; across a lost connection they go on where they ended.
   * `onGap` is called where the number can't be served: take a snapshot, unfollow, and follow from there.
   * @returns {() => void} unfollow
   */
  follow(session, since, onEvents, { onGap = () => {}, onRefused = () => {} } = {}) {
    const reader = { cursor: since, onEvents, onGap, onRefused }
    const known = this.#follows.get(session)
    if (known === undefined) {
      this.#follows.set(session, { readers: new Set([reader]), since, heard: false })
      this.#ask(session)
    } else {
      const behind = since < lowest(known)
      known.readers.add(reader)
      if (behind) this.#ask(session)
    }
    return () => {
      const follow = this.#follows.get(session)
      if (follow === undefined || !follow.readers.delete(reader) || follow.readers.size) return
      this.#follows.delete(session)
      this.#send({ unfollow: session })
    }
  }

  // -- the connection ---------------------------------------------------------------------------

  #connect() {
    clearTimeout(this.#again)
    this.#drop()
    if (navigator.onLine === false) return this.#become('offline')
    this.#become('opening')
    this.#heard = Date.now()
    const socket = this.#make(this.#url)
    this.#socket = socket
    socket.onopen = () => {
      if (socket !== this.#socket) return
      this.#heard = Date.now()
      for (const session of this.#follows.keys()) this.#ask(session)
    }
    socket.onmessage = ({ data }) => socket === this.#socket && this.#take(data)
    socket.onclose = () => socket === this.#socket && this.#lost()
  }

  /** Whatever an old socket still has to say is not heard. */
  #drop() {
    const socket = this.#socket
    this.#socket = null
    if (socket === null) return
    socket.onopen = socket.onmessage = socket.onclose = null
    if (socket.readyState <= 1) socket.close()
  }

  #lost() {
    this.#drop()
    if (!this.#wanted) return
    if (navigator.onLine === false) return this.#become('offline')
    const wait = Math.min(FIRST * 2 ** this.#tries, LONGEST) * (0.5 + Math.random() / 2)
    this.#tries += 1
    this.#become('down', Date.now() + wait)
    this.#again = setTimeout(() => this.#connect(), wait)
    if (this.#tries > 1) this.#known()
  }

  /** A handshake that fails does not say why: it may be that we are not known any more. */
  #known() {
    this.#api?.who().then((session) => {
      if (!session.paired && session.asks) this.#api.stranger()
    }, () => {})
  }

  #wake = () => {
    if (!this.#wanted || document.hidden) return
    const { state } = this.#state
    if (state === 'open' && Date.now() - this.#heard > SILENCE) this.#connect()
    else if (state === 'down' || state === 'offline') {
      this.#tries = 0
      this.#connect()
    }
  }

  #lose = () => {
    if (!this.#wanted) return
    this.#drop()
    clearTimeout(this.#again)
    this.#become('offline')
  }

  #look() {
    const patience = this.#state.state === 'opening' ? OPENING : SILENCE
    if (this.#socket !== null && Date.now() - this.#heard > patience) this.#lost()
  }

  #become(state, retry = 0) {
    const since = state === this.#state.state ? this.#state.since : Date.now()
    this.#state = { state, since, seen: state === 'open' ? 0 : (this.#state.seen || this.#heard), retry }
    this.#tell('state', this.#state)
  }

  #send(value) {
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(value))
  }

  /**
   * Ask for a session from the lowest cursor of those who read it.
   *
   * Where it was followed before on this line, events of that time may still be under way; taken for the new ones they
   * would move the cursor past what is yet to come.  So nothing of it is heard until the server says that it follows
   * from there.
   */
  #ask(session) {
    const follow = this.#follows.get(session)
    follow.since = lowest(follow)
    follow.heard = false
    this.#send({ follow: session, since: follow.since })
  }

  #heed({ following, since }) {
    const follow = this.#follows.get(following)
    if (follow?.since === since) follow.heard = true
  }

  // -- what comes ---------------------------------------------------------------------------------

  #take(data) {
    this.#heard = Date.now()
    if (this.#state.state !== 'open') {
      this.#tries = 0
      this.#become('open')
    }
    let events = null // those of one session that come one after the other are handed over together
    let of = ''
    for (const item of JSON.parse(data)) {
      if (item.session !== undefined && item.id !== undefined) {
        if (events === null || of !== item.session) {
          this.#hand(of, events)
          events = []
          of = item.session
        }
        events.push(item)
      } else {
        this.#hand(of, events)
        events = null
        this.#other(item)
      }
    }
    this.#hand(of, events)
  }

  #hand(session, items) {
    const follow = items === null ? undefined : this.#follows.get(session)
    if (!follow?.heard) return
    const last = items[items.length - 1].id
    for (const reader of [...follow.readers]) {
      const news = items.filter(({ id, event }) => id > reader.cursor && event)
      if (last > reader.cursor) reader.cursor = last
      if (news.length) guarded(() => reader.onEvents(news))
    }
  }

  #other(item) {
    if (item.hello) {
      this.#keep('jobs', []) // where nothing takes long any more, nothing is said of it
      this.#keep('hello', item.hello)
    }
    else if (item.waits) this.#keep('waits', item.waits)
    else if (item.jobs) this.#keep('jobs', item.jobs)
    else if (item.row) this.#tell('row', item.row)
    else if (item.gone) this.#tell('gone', item.gone)
    else if (item.gap) {
      if (this.#follows.get(item.gap)?.heard) for (const reader of this.#readers(item.gap)) guarded(reader.onGap)
    }
    else if (item.following) this.#heed(item)
    else if (item.refused !== undefined) {
      for (const reader of this.#readers(item.refused)) guarded(() => reader.onRefused(item))
      this.#tell('refused', { session: item.refused, code: item.code, message: item.message })
    }
  }

  #readers(session) {
    const follow = this.#follows.get(session)
    return follow === undefined ? [] : [...follow.readers]
  }

  #keep(word, value) {
    this.#last.set(word, value)
    this.#tell(word, value)
  }

  #tell(word, value) {
    for (const told of [...(this.#listeners.get(word) ?? [])]) guarded(() => told(value))
  }
}

const lowest = ({ readers }) => Math.min(...[...readers].map(({ cursor }) => cursor))

/** A listener that fails takes no other with it. */
function guarded(call) {
  try {
    call()
  } catch (error) {
    reportError(error)
  }
}

function address() {
  const url = new URL('/api/live', location.href)
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
  url.hash = ''
  return url.href
}
