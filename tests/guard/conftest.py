"""The houses of the acceptance tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from acceptance.house import House, opened
from fakes import llm


@pytest.fixture
def house(tmp_path: Path, fake_llm: llm.FakeLLM) -> Iterator[House]:
    """A folder, a database and a fake model of one's own."""
    with opened(tmp_path, fake_llm) as found:
        yield found
