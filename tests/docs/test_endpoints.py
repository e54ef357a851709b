"""The page of the API lists the endpoints that there are, with their queries."""

import re
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from docs.pages import API
from engine.fakes import Floor, open_world
from roost.doors.docker_agent.routes import routes

pytestmark = pytest.mark.anyio

Endpoint = tuple[str, str, frozenset[str]]
PAGES = {("GET", "/docs", frozenset[str]()), ("GET", "/openapi.json", frozenset[str]())}


def listed() -> Iterator[Endpoint]:
    table = API.read_text().partition("## All endpoints")[2].partition("\n## ")[0]
    for method, path, query in re.findall(r"`(GET|POST|PATCH|DELETE) ([^`?]+)\??([^`]*)`", table):
        whole = path.replace("…", "/api/sessions/:id")
        for one in (whole.partition("[")[0], whole.replace("[", "").replace("]", "")):
            yield method, one, frozenset(re.findall(r"(\w+)=", query))


async def test_all_are_listed_and_no_others(tmp_path: Path) -> None:
    async with open_world(Floor("memory", tmp_path)) as world:
        there = routes(world.service, closing=anyio.Event(), version="", quiet=1)
        assert set(listed()) - PAGES == {(route.method, route.path, frozenset(route.query)) for route in there}
