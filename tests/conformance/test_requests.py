"""Every command of the real CLI: what it sends, and that a real server answers it (8.3 and 8.5.1)."""

import json
from typing import Any

from acceptance.zag.cast import cast
from acceptance.zag.remote import Site
from acceptance.zag.rows import Names, Row, rows
from acceptance.zag.test_rows import fits
from conformance.zag import Zag, recording


def expected(row: Row) -> list[tuple[str, str, str]]:
    return [
        (
            request.method,
            request.path,
            "" if request.body is None else json.dumps(request.body, sort_keys=True, separators=(",", ":")),
        )
        for request in row.requests
    ]


def test_what_is_sent_is_what_the_rows_say(alone: Zag) -> None:
    with recording() as recorder:
        alone.connected(recorder.url, "t")
        for row in rows(Names()):
            alone.type(*row.words)
            assert recorder.taken() == expected(row), row.words


def test_every_row_against_a_server_over_tls(zag: Zag, site: Site) -> None:
    for row in rows(cast(site)):
        last = row.requests[-1]
        out = zag.type(*row.words, code=0 if last.status < 300 else 1)
        if last.status >= 300:
            assert f"Server error ({last.status}" in out
        elif row.words[0] not in ("exec", "cancel") and row.words[:2] != ["session", "import"] and last.answer:
            assert fits(json.loads(out), last.answer), (row.words, out)


def test_what_is_printed_is_what_was_answered(zag: Zag, site: Site) -> None:
    session = site.op.done()
    for words, path in (
        (["session", "show", session], f"/sessions/{session}"),
        (["events", session], f"/sessions/{session}/events"),
        (["output", session], f"/sessions/{session}/output"),
        (["status", session], f"/sessions/{session}/status"),
    ):
        assert zag.type(*words) == site.op.ask("GET", path).text + "\n"


def test_commands_that_stay_on_the_machine_send_nothing(alone: Zag) -> None:
    with recording() as recorder:
        alone.connected(recorder.url, "t")
        alone.type("cancel", "--tag", "t")
        assert recorder.taken() == []
        alone.type("disconnect")
        assert (recorder.taken(), alone.connection) == ([], None)


def names_of(found: Any) -> list[str]:
    return [one["session_id"] for one in found]


def test_lists_are_the_servers(zag: Zag, site: Site) -> None:
    session = site.op.done(tags=["listed"])
    assert names_of(zag.json("session", "list"))[0] == session
    assert names_of(zag.json("collect", "--tag", "LISTED")) == [session]
    assert zag.json("ps")[0]["session_id"] == session
