"""QR codes: the modules are right, and a terminal shows them."""

import segno

from roost.codes import QUIET, drawn, matrix

LINK = "https://192.168.1.7:2100/#pair=ig6zFwvtgaH7if1QkJ1o1w"


def test_the_modules_are_those_of_the_code() -> None:
    rows = matrix(LINK)
    assert len(rows) == len(rows[0])
    assert set("".join(rows)) == {"0", "1"}
    corner = ["1111111", "1000001", "1011101", "1011101", "1011101", "1000001", "1111111"]
    assert [row[:7] for row in rows[:7]] == corner
    wanted = segno.make(LINK, error="m", micro=False, boost_error=False)
    assert [[int(module) for module in row] for row in rows] == [list(row) for row in wanted.matrix]


def test_a_terminal_shows_two_rows_a_line_with_light_around_them() -> None:
    rows = matrix(LINK)
    lines = drawn(rows).splitlines()
    assert len(lines) == (len(rows) + 2 * QUIET + 1) // 2
    assert {len(line) for line in lines} == {len(rows) + 2 * QUIET}
    assert set(lines[0]) == {"█"}
    light = {"█": "00", "▀": "01", "▄": "10", " ": "11"}
    pairs = [[light[char] for char in line] for line in lines]
    back = ["".join(pair[half] for pair in line) for line in pairs for half in (0, 1)]
    assert [row[QUIET:-QUIET] for row in back[QUIET : QUIET + len(rows)]] == rows
