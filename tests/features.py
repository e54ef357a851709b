"""The page of features: its rows, the tests that they name, and whether those have run."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/features.md"
TEST = re.compile(r"^`(tests/[\w/]+\.py::test_\w+)`$")


class Row(NamedTuple):
    """A feature, under the number of its section."""

    section: str
    name: str
    state: str
    more: str  # the test, in backticks; or what happens instead

    @property
    def test(self) -> str:
        """The test that it names; "" where there is none."""
        found = TEST.match(self.more)
        return found[1] if found else ""


def rows() -> list[Row]:
    found, section = [], ""
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ").partition(" ")[0]
        elif line.startswith("| ") and not line.startswith("| Feature "):
            name, _, state, more = (cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1])
            found.append(Row(section, name, state, more))
    return found


def named() -> set[str]:
    """All tests that the page names."""
    return {row.test for row in rows() if row.state == "works"}


def plain(node: str) -> str:
    """A test's id without its parameters and xdist's group."""
    return node.partition("[")[0].partition("@")[0]


class Ledger:
    """Writes down which tests have run; after a whole suite those that the page names must be among them.

    One that was skipped, because a program is missing that it needs, is named in a line.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._passed: set[str] = set()
        self._skipped: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            self._passed.add(plain(report.nodeid))
        elif report.skipped:
            self._skipped.add(plain(report.nodeid))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if not self._whole() or session.exitstatus not in (0, 1):
            return
        absent = sorted(named() - self._passed)
        skipped = [test for test in absent if test in self._skipped]
        missing = [test for test in absent if test not in self._skipped]
        self._say("named in docs/features.md, and skipped", skipped)
        self._say("named in docs/features.md, and not passed", missing)
        if missing:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _whole(self) -> bool:
        option = self._config.option
        narrowed = (option.keyword, option.markexpr, option.deselect, option.ignore, option.collectonly, option.maxfail)
        narrowed += (getattr(option, "lf", False), getattr(option, "stepwise", False))
        return self._config.args_source == pytest.Config.ArgsSource.TESTPATHS and not any(narrowed)

    def _say(self, what: str, tests: Sequence[str]) -> None:
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if tests and reporter is not None:
            reporter.write_line("\n".join(["", f"{what}:", *(f"  {test}" for test in tests)]))


def collected(items: Iterable[pytest.Item]) -> dict[str, bool]:
    """The tests among the items, and whether each is skipped whatever happens."""
    found: dict[str, bool] = {}
    for item in items:
        name = plain(item.nodeid)
        found[name] = found.get(name, True) and item.get_closest_marker("skip") is not None
    return found
