"""A server, and a home that is connected to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.there import There
from fakes.api import FakeApi, serving


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[There]:
    for name in ("ROOST_SESSION_ID", "ZAG_SESSION_ID", "ROOST_CONNECT_TOKEN", "ZAG_CONNECT_TOKEN", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("ROOST_HOME", str(home))
    with serving(FakeApi()) as api:
        made = There(api, home)
        made.connect()
        yield made
