"""The page's ground: a line that loses and doubles nothing, lists that keep their nodes, requests that tell why."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

from page.tabs import Guests, Site, tabs

STAGE = """
async () => {
    const { Live } = await import('/static/live.js')
    const sockets = []
    class Socket {
        constructor() { this.readyState = 0; this.sent = []; sockets.push(this) }
        open() { this.readyState = 1; this.onopen?.() }
        send(text) { this.sent.push(JSON.parse(text)) }
        say(...items) { this.onmessage?.({ data: JSON.stringify(items) }) }
        cut() { this.readyState = 3; this.onclose?.({}) }
        close() { this.readyState = 3 }
    }
    const until = async (found) => {
        for (let n = 0; n < 500 && !found(); n += 1) await new Promise((done) => setTimeout(done, 10))
        if (!found()) throw new Error(`it did not come: ${found}`)
    }
    const event = (id, session = 's') => ({ session, id, event: { type: 'x', n: id } })
    globalThis.live?.close()
    const live = new Live({ make: () => new Socket() }).open()
    const take = (into) => (items) => into.push(...items.map(({ id }) => id))
    Object.assign(globalThis, { live, sockets, until, event, take, heard: [] })
    sockets[0].open()
}
"""


@pytest.fixture(scope="module")
def shown(site: Site, guests: Guests) -> Iterator[Page]:
    """The page, for all that is tried on its modules."""
    with tabs(guests) as tab:
        page = tab(site, let_in=False).page
        page.goto(site.url)
        yield page


@pytest.fixture
def page(shown: Page) -> Page:
    """A page with a line whose other end is in the test's hand."""
    shown.evaluate(STAGE)
    return shown


def test_after_a_cut_it_goes_on_where_it_was(page: Page) -> None:
    found: Any = page.evaluate(
        """async () => {
            live.follow('s', 4, take(heard))
            sockets[0].say({ following: 's', since: 4 }, event(4), event(5), event(6))
            sockets[0].say({ session: 's', id: 9, event: null })
            sockets[0].cut()
            await until(() => sockets.length === 2)
            sockets[1].open()
            sockets[0].say(event(10))  // what a line says that is no longer ours
            sockets[1].say({ following: 's', since: 9 }, event(8), event(9), event(10))
            return { heard, asked: sockets[1].sent }
        }"""
    )
    assert found == {"heard": [5, 6, 10], "asked": [{"follow": "s", "since": 9}]}


def test_each_reader_of_a_session_gets_all_that_is_past_its_own_number(page: Page) -> None:
    found: Any = page.evaluate(
        """async () => {
            const other = []
            live.follow('s', 10, take(heard))
            sockets[0].say({ following: 's', since: 10 }, event(11), event(12))
            live.follow('s', 5, take(other))
            sockets[0].say(event(13))  // still of the first wish: it would hide 6 to 12 from the second reader
            const asked = sockets[0].sent.at(-1)
            sockets[0].say({ following: 's', since: 5 })
            sockets[0].say(...[6, 7, 8, 9, 10, 11, 12, 13, 14].map((id) => event(id)))
            return { heard, other, asked }
        }"""
    )
    assert found["asked"] == {"follow": "s", "since": 5}
    assert found["heard"] == [11, 12, 13, 14]
    assert found["other"] == list(range(6, 15))


def test_who_leaves_and_comes_back_hears_nothing_of_the_first_visit(page: Page) -> None:
    found: Any = page.evaluate(
        """async () => {
            live.follow('s', 0, () => {})()
            live.follow('s', 3, take(heard))
            sockets[0].say({ following: 's', since: 0 }, event(90))  // under way since the first visit
            sockets[0].say({ following: 's', since: 3 }, event(4), event(5))
            return { heard, asked: sockets[0].sent.at(-1) }
        }"""
    )
    assert found == {"heard": [4, 5], "asked": {"follow": "s", "since": 3}}


def test_a_gap_and_a_refusal_are_told_to_whom_they_concern(page: Page) -> None:
    found: Any = page.evaluate(
        """async () => {
            const told = []
            for (const name of ['a', 'b']) {
                const onGap = () => told.push(`gap of ${name}`)
                const onRefused = ({ code }) => told.push(`${name} ${code}`)
                live.follow(name, 0, () => {}, { onGap, onRefused })
            }
            live.on('refused', ({ session }) => told.push(`refused ${session}`))
            sockets[0].say({ following: 'a', since: 0 }, { gap: 'a' })
            sockets[0].say({ refused: 'a', code: 'session_not_found', message: 'no' })
            return told
        }"""
    )
    assert found == ["gap of a", "a session_not_found", "refused a"]


def test_a_reader_that_fails_takes_no_other_with_it(page: Page) -> None:
    found: Any = page.evaluate(
        """async () => {
            const before = globalThis.reportError
            const failed = []
            globalThis.reportError = (error) => failed.push(error.message)
            live.follow('s', 0, () => { throw new Error('oh') })
            live.follow('s', 0, take(heard))
            sockets[0].say({ following: 's', since: 0 }, event(1))
            globalThis.reportError = before
            return { heard, failed }
        }"""
    )
    assert found == {"heard": [1], "failed": ["oh"]}


def test_what_holds_until_it_changes_is_told_to_those_who_come_later(page: Page) -> None:
    found: Any = page.evaluate(
        """async () => {
            sockets[0].say({ hello: { version: '1' } }, { waits: [{ id: 'w' }] }, { jobs: [] })
            const told = []
            for (const word of ['hello', 'waits', 'jobs', 'row']) live.on(word, (value) => told.push([word, value]))
            live.on('state', ({ state }) => told.push(['state', state]))
            return told
        }"""
    )
    assert found == [["hello", {"version": "1"}], ["waits", [{"id": "w"}]], ["jobs", []], ["state", "open"]]


def test_lists_keep_their_nodes_and_the_focus(page: Page) -> None:
    found: Any = page.evaluate(
        """async () => {
            const { h, keyed } = await import('/static/dom.js')
            const list = document.body.appendChild(h('ul'))
            const made = []
            const make = (key) => {
                made.push(key)
                return h('li', {}, h('button', {}, key))
            }
            const draw = (...keys) => keyed(list, keys, (key) => key, make)
            const order = () => [...list.children].map((node) => node.textContent).join('')
            const seen = []
            draw('a', 'b', 'c', 'd')
            list.children[1].firstChild.focus()
            for (const keys of ['dabc', 'bcda', 'cab', 'xcyabz', 'b', '', 'ab']) {
                draw(...keys)
                seen.push([order(), document.activeElement.textContent === 'b'])
            }
            list.remove()
            return { seen, made: made.join('') }
        }"""
    )
    orders = ["dabc", "bcda", "cab", "xcyabz", "b", "", "ab"]
    assert found["seen"] == [[keys, number < 5] for number, keys in enumerate(orders)]
    assert found["made"] == "abcdxyzab"  # one is made anew only where it was gone


def test_effects_run_once_a_frame_and_end_with_their_scope(page: Page) -> None:
    found: Any = page.evaluate(
        """async () => {
            const { effect, flush, scope, signal } = await import('/static/dom.js')
            const [one, two] = [signal(1), signal(1)]
            const sums = []
            const [, end] = scope(() => effect(() => sums.push(one.value + two.value)))
            one.value = 2
            two.value = 3
            one.value = 4
            flush()
            two.value = two.peek()
            flush()
            end()
            one.value = 9
            flush()
            return sums
        }"""
    )
    assert found == [2, 7]


def test_requests_are_tried_again_only_where_that_does_no_harm(page: Page) -> None:
    found: Any = page.evaluate(
        """async () => {
            const { Api } = await import('/static/api.js')
            const asked = []
            const answers = []
            const api = new Api({ fetch: async (path, { method, headers }) => {
                asked.push([method, path, headers['x-roost-csrf'] ?? ''])
                const next = answers.shift()
                if (next === undefined) throw new TypeError('no network')
                return new Response(JSON.stringify(next[1]), { status: next[0] })
            } })
            const facts = ({ name, status, code, message }) => ({ name, status, code, message })
            const outcome = (promise) => promise.then((value) => ({ value }), facts)
            answers.push([503, {}], [200, { ok: true }])
            const got = await outcome(api.get('/a'))
            const lost = await outcome(api.post('/b', {}))
            answers.push([403, { message: 'the x-roost-csrf header is wrong' }], [200, { csrf: 'new' }])
            answers.push([200, { done: true }])
            const guarded = await outcome(api.post('/c', {}))
            answers.push([409, { code: 'session_busy', message: 'it is busy' }])
            const refused = await outcome(api.delete('/d'))
            return { got, lost, guarded, refused, asked: asked.map((one) => one.join(' ').trim()) }
        }"""
    )
    assert found["got"] == {"value": {"ok": True}}
    assert found["lost"]["name"] == "Unreached"
    assert found["guarded"] == {"value": {"done": True}}
    assert found["refused"] == {"name": "Refused", "status": 409, "code": "session_busy", "message": "it is busy"}
    assert found["asked"] == [
        "GET /a",
        "GET /a",
        "POST /b",
        "POST /c",
        "GET /web/session",
        "POST /c new",
        "DELETE /d new",
    ]
