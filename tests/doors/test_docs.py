"""The OpenAPI document, and the page that shows it."""

import re
from pathlib import Path

import anyio
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from test_auth import Nothing

from roost.doors.app import Doors, make_app
from roost.doors.docs import PAGES
from roost.doors.openapi import document
from roost.doors.routes import names
from roost.testing.house import open_house

pytestmark = pytest.mark.anyio


def test_the_document_is_valid_and_has_every_route() -> None:
    app = make_app(Nothing(), closing=anyio.Event())
    assert isinstance(app, Doors)
    found = document(app.main.router.routes, "1")
    OpenAPIV31SpecValidator(found).validate()
    assert found["openapi"] == "3.1.0"
    shown = {(method.upper(), path) for path, methods in found["paths"].items() for method in methods}
    wanted = {(r.method, re.sub(r":(\w+)", r"{\1}", r.path)) for r in app.main.router.routes if r.shown}
    assert shown == wanted
    assert len(shown) == 45
    ids = [operation["operationId"] for methods in found["paths"].values() for operation in methods.values()]
    assert len(set(ids)) == len(ids)
    for route in app.main.router.routes:
        assert len(set(names(route.path))) == len(names(route.path))


async def test_the_page_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    async with open_house(tmp_path, token="t") as house:
        house.client.headers.pop("authorization")
        docs = await house.client.get("/docs")
        assert docs.headers["content-type"] == "text/html; charset=utf-8"
        policy = docs.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        for path in re.findall(r'(?:src|href)="([^"]+)"', docs.text):
            assert path.startswith("/")
            assert (await house.client.get(path)).status_code == 200
        script, style = await house.client.get("/docs/docs.js"), await house.client.get("/docs/docs.css")
        assert script.headers["content-type"] == "text/javascript; charset=utf-8"
        assert style.headers["content-type"] == "text/css; charset=utf-8"
        api = (await house.client.get("/openapi.json")).json()
        assert api["info"]["version"] == "1.2.3"


def test_nothing_of_the_page_is_written_by_hand_into_html() -> None:
    for page in PAGES.iterdir():
        text = page.read_text()
        assert "//" not in re.sub(r"^\s*//.*$", "", text, flags=re.M).replace("https://", "//") or page.suffix == ".css"
        assert "innerHTML" not in text
        assert "onclick=" not in text
        assert " style=" not in text
