"""Lines of lists share their room: cut, left out or aligned by cells, also where characters are two of them wide."""

from rich.cells import cell_len

from roost.tui import columns
from roost.tui.columns import Column

ROW = [
    Column("The harbour at night", width=24, least=10, grows=True),
    Column("surveyor", width=12, least=6, rank=1),
    Column("$0.12", width=8, least=8, rank=2),
]


def test_a_wide_line_gives_its_room_to_the_column_that_grows() -> None:
    assert columns.line(ROW, 60).plain == f"{'The harbour at night':<36}  {'surveyor':<12}  {'$0.12':<8}"


def test_a_narrow_one_cuts_first_and_then_leaves_out_what_matters_least() -> None:
    assert columns.line(ROW, 40).plain == f"{'The harbour at …':<16}  surveyor      $0.12   "
    assert columns.line(ROW, 28).plain == "The harbo…  surve…  $0.12   "
    assert columns.line(ROW, 20).plain == "The harbo…  surveyor"
    assert columns.line(ROW, 12).plain == "The harbour…"


def test_columns_stand_below_each_other_whatever_is_written_in_them() -> None:
    for title in ("plain", "日本語のタイトルがここにあるよ", "🎉 done", "a\nb\tc"):
        for room in (60, 40, 28, 20):
            line = columns.line([Column(title, width=24, least=10, grows=True), *ROW[1:]], room).plain
            assert cell_len(line) == room
            assert line.count("surve") == 1
