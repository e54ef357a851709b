"""What many tests stand on."""

import gc
import logging
import os
import signal
import sys
import time
import uuid
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from fakes import llm, relics
from features import Ledger

settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])  # others work here too
settings.load_profile("house")

PATIENCE = 15.0  # seconds that what was told to end has for it
GARBAGE = 100_000  # objects between two looks for garbage: at the default of 700 collecting took twice as long

collect_ignore = [] if os.environ.get("ZAG_BIN") else ["conformance"]  # `make conformance` builds what they need


# What is compiled once serves all: pytest's workers, which rewrite every assert, and each program that they start.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_configure(config: pytest.Config) -> None:
    gc.set_threshold(GARBAGE)
    if hasattr(config, "workerinput"):
        config.pluginmanager.register(Share(config.workerinput), "share")
    else:
        config.pluginmanager.register(Ledger(config), "features")


class Share:
    """A worker's part in compiling the tests: each begins elsewhere, and finds there what the others have done."""

    def __init__(self, worker: Mapping[str, Any]) -> None:
        self.number, self.of = int(worker["workerid"].removeprefix("gw")), int(worker["workercount"])
        gc.disable()  # nothing that is collected is garbage

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        report = yield
        if isinstance(collector, pytest.Directory) and report.passed:
            first = len(report.result) * self.number // self.of
            report.result[:] = report.result[first:] + report.result[:first]
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """All workers must say the same."""
        items.sort(key=lambda item: item.path.parts)

    def pytest_collection_finish(self) -> None:
        """Thousands of tests live until the end: no search for garbage is to look at them."""
        gc.freeze()
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put xdist's groups into the ids of tests: it writes them where pytest does not look for them any more."""
    for item in items if config.getoption("loadgroup", False) else ():
        mark = item.get_closest_marker("xdist_group")
        if mark is not None and hasattr(item, "_id") and not item.nodeid.endswith(end := f"@{mark.args[0]}"):
            item._id = type(item._id).parse(item.nodeid + end)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", autouse=True)
def loud() -> Iterator[None]:
    """Commands that ran in this process have hushed some loggers: what comes after them hears all again."""
    yield
    for name in [name for name in logging.root.manager.loggerDict if name.startswith("roost.")]:
        if (log := logging.getLogger(name)).level == logging.ERROR:
            log.setLevel(logging.NOTSET)


@pytest.fixture
def fake_llm() -> Iterator[llm.FakeLLM]:
    """A scripted model on loopback, speaking five dialects."""
    with llm.serve() as fake:
        yield fake


@pytest.fixture(scope="session", autouse=True)
def nothing_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is left running: whoever leaves a process behind is told its command line, which names the test."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a script: no child would hear it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    mark = os.environ[relics.MARK] = uuid.uuid4().hex
    names = (str(tmp_path_factory.getbasetemp()), f"{relics.MARK}={mark}")
    yield
    del os.environ[relics.MARK]
    deadline = time.monotonic() + PATIENCE
    while (left := relics.found(*names)) and time.monotonic() < deadline:
        time.sleep(0.05)
    relics.end(*names)
    assert not left, "left running:\n" + "\n".join(f"{pid}: {line}" for pid, line in left.items())


@pytest.fixture
def ended(tmp_path: Path) -> Iterator[None]:
    """Programs that outlive their server by design end with the test."""
    yield
    relics.end(str(tmp_path))
