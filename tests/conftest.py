"""What many tests stand on."""

import os
from collections.abc import Iterator

import pytest

from fakes import llm

collect_ignore = [] if os.environ.get("ZAG_BIN") else ["conformance"]  # `make conformance` builds what they need


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def fake_llm() -> Iterator[llm.FakeLLM]:
    """A scripted model on loopback, speaking four dialects."""
    with llm.serve() as fake:
        yield fake
