"""A view is a fold: from a snapshot and what comes after it, it is the same as from the beginning."""

from collections.abc import Iterator, Sequence
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roost.client.happenings import Happening
from roost.tui.rows import Answer, Call, Nest, Note, Reasoning, Row, User
from roost.tui.view import View
from tui import replay, scenes
from tui.replay import Told


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sequence[Told]]:
    """Every scene, told fact by fact."""
    folder = tmp_path_factory.mktemp("scenes")
    with scenes.recorded(folder) as logs:
        yield [anyio.run(replay.told, log, folder) for log in logs]


def folded(happenings: Sequence[Happening], session: str) -> View:
    view = View(session)
    view.take_all(happenings)
    return view


def row(shown: Row) -> tuple[Any, ...]:
    """What of a row does not depend on when it was first seen."""
    about: tuple[Any, ...] = (type(shown).__name__, shown.depth, shown.session, shown.agent, shown.text)
    match shown:
        case User():
            return (*about, shown.id, shown.ordinal, shown.state == "queued", shown.pictures)
        case Answer() | Reasoning():
            return (*about, shown.id, shown.streaming)
        case Call():
            if shown.state == "draft":  # drafts are sent now and then
                return (*about[:4], shown.call, shown.name)
            call = (shown.call, shown.name, shown.arguments, shown.state, shown.verdict, shown.changed)
            return (*about, *call, shown.result, shown.output)
        case Nest():
            return (*about[:4], shown.sub, shown.call, shown.state)
        case Note():
            return (*about, shown.kind, shown.level, shown.seq)
        case _:
            return about


def essence(view: View) -> dict[str, Any]:
    """What a view shows."""
    rows = [row(shown) for shown in view.rows]
    usage = view.usage
    return {
        "rows": rows,
        "waits": [(wait.id, wait.kind, wait.session, wait.message) for wait in view.waits],
        "queue": [(queued.id, queued.index, queued.queue, queued.words) for queued in view.queue],
        "state": view.state,
        "agent": view.agent,
        "model": view.model,
        "title": view.title,
        "safety": view.safety,
        "plan": view.plan,
        "usage": (usage.input, usage.output, usage.context, round(usage.cost, 6), round(usage.tree_cost, 6)),
        "team": [mate.name for mate in view.team],
        "commands": [command.name for command in view.commands],
    }


def test_from_a_snapshot_it_is_the_same_as_from_the_beginning(told: Sequence[Told]) -> None:
    for log in told:
        for snapshot in log.snapshots:
            number = snapshot.last_event_seq
            view = View.open(snapshot)
            view.take_all(log.between(snapshot.tail_from, number))
            whole = folded(log.between(0, number), snapshot.id)
            assert essence(view) == essence(whole), (log.name, number)


def test_and_it_stays_so(told: Sequence[Told]) -> None:
    for log in told:
        whole = folded(log.happenings, log.snapshots[0].id)
        for snapshot in log.snapshots:
            view = View.open(snapshot)
            view.take_all(log.between(snapshot.tail_from, len(log.snapshots)))
            assert essence(view) == essence(whole), (log.name, snapshot.last_event_seq)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_it_does_not_matter_how_it_comes(told: Sequence[Told], data: st.DataObject) -> None:
    """In pieces of any size, some of them twice, and with a line that was cut and begins a little earlier."""
    log = data.draw(st.sampled_from(told), label="scene")
    whole = folded(log.happenings, log.snapshots[0].id)
    view, at = View(whole.session), 0
    while at < len(log.happenings):
        size = data.draw(st.integers(1, 30))
        again = data.draw(st.integers(0, 10))
        view.take_all(log.happenings[max(0, at - again) : at + size])
        at += size
    assert essence(view) == essence(whole)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_changes_tell_all_that_changes(told: Sequence[Told], data: st.DataObject) -> None:
    """Whoever keeps rows by what changes say, has what the view has."""
    log = data.draw(st.sampled_from(told), label="scene")
    snapshot = data.draw(st.sampled_from(log.snapshots), label="begun at")
    view = View.open(snapshot)
    kept = {shown.key: (shown.version, row(shown)) for shown in view.rows}
    rest, at = log.between(snapshot.tail_from, len(log.snapshots)), 0
    while at < len(rest):
        size = data.draw(st.integers(1, 20))
        changes = view.take_all(rest[at : at + size])
        at += size
        now = {shown.key: shown for shown in view.rows}
        for key in changes.vanished:
            kept.pop(key, None)
        for key in changes.appeared | changes.changed:
            kept[key] = (now[key].version, row(now[key]))
        assert kept == {key: (shown.version, row(shown)) for key, shown in now.items()}


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_older_pages_make_it_whole(told: Sequence[Told], data: st.DataObject) -> None:
    """A view of the newest messages, with page after page put above it, is the view of all of them."""
    log = data.draw(st.sampled_from(told), label="scene")
    snapshot = log.snapshots[-1]
    messages = snapshot.messages
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(messages) - 1)), max_size=4)))
    pages = [messages[start:end] for start, end in zip([0, *cuts], [*cuts, len(messages)], strict=True)]
    view = View.open(replay.page(log, pages[-1], more=len(pages) > 1))
    for number, older in reversed(list(enumerate(pages[:-1]))):
        view.prepend(replay.page(log, older, more=number > 0))
    whole = View.open(replay.page(log, messages, more=False))
    assert essence(view)["rows"] == essence(whole)["rows"]
