"""Tables on terminals: they fit, ids stay apart, and what is cut is what matters least."""

import pytest

from roost.cli.columns import Column, brief, cut, fitted, meant, wide

RUN = "14b1b156-c9a5-47ae-86d3-def6953f0e06"
COLUMNS = (
    Column("id", ident=True),
    Column("name", 48),
    Column("model", spare=2),
    Column("status", firm=True),
    Column("folder", tail=True, spare=1),
)
ROW = (RUN, "Tidy up all that was ever left lying about", "claude-opus", "running", "/srv/a/very/long/way/to/here")


def lines(room: int, *rows: tuple[str, ...]) -> list[str]:
    _, grid = fitted(COLUMNS, rows or (ROW,), room)
    return ["  ".join(row) for row in grid]


@pytest.mark.parametrize("room", range(36, 140, 7))
def test_it_fits(room: int) -> None:
    assert all(wide(line) <= room for line in lines(room, ROW, (RUN, "短い名前" * 20, "x", "idle", "/ünï/cödé" * 9)))


def test_where_there_is_room_all_is_shown() -> None:
    head, row = lines(140)
    assert row.split("  ")[0] == RUN[:8]
    assert all(cell in row for cell in ROW[1:])
    assert head.split() == ["ID", "NAME", "MODEL", "STATUS", "FOLDER"]


def test_what_is_spare_goes_first_and_the_end_of_a_folder_stays() -> None:
    head, row = lines(64)
    assert head.split() == ["ID", "NAME", "STATUS", "FOLDER"]
    assert row.endswith("way/to/here") and "…" in row


def test_empty_columns_are_left_out() -> None:
    head, _ = lines(140, (RUN, "x", "", "idle", ""))
    assert head.split() == ["ID", "NAME", "STATUS"]


def test_ids_are_as_long_as_tells_them_apart() -> None:
    other = "14b1b156-ffff-47ae-86d3-def6953f0e06"
    assert brief(RUN, {RUN, "99d3279b-6d50-4394-b839-4d06fb5feb80"}) == "14b1b156"
    assert (brief(RUN, {RUN, other}), brief(other, {RUN, other})) == ("14b1b156-c9a5", "14b1b156-ffff")
    waits = {f"{RUN}-w1", f"{RUN}-w12"}
    assert {brief(wait, waits) for wait in waits} == {"14b1b156-w1", "14b1b156-w12"}
    for wait in waits:
        assert [one for one in waits if meant(one, brief(wait, waits))] == [wait]


@pytest.mark.parametrize(
    ("typed", "found"), [("14b1", True), ("14b1b156-c9a5", True), (RUN, True), ("14b1b156-w1", False), ("4b1b", False)]
)
def test_whoever_types_the_beginning_means_it(typed: str, found: bool) -> None:
    assert meant(RUN, typed) is found


def test_what_is_cut_says_so() -> None:
    assert cut("Tidy up all", 7) == "Tidy u…"
    assert cut("Tidy up all", 6) == "Tidy…"
    assert cut("/srv/app", 5, tail=True) == "…/app"
    assert cut("短い名前", 5) == "短い…"
    assert cut("short", 5) == "short"
