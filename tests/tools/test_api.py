"""Endpoints and whole APIs as tools: what they ask, what comes back, and what a broken document does."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from fakes.calls import Session, find, names
from fakes.site import Site, endless, hang, open_site
from roost.core.errors import ToolsetFailed
from roost.core.messages import Result
from roost.tools import openapi, operations
from roost.tools.builtin import Builtin
from roost.tools.openapi import _read
from roost.tools.operations import Broken, Document

pytestmark = pytest.mark.anyio

CITY = {"city": {"type": "string"}, "days": {"type": "integer"}}


@pytest.fixture
def site() -> Iterator[Site]:
    with open_site() as opened:
        yield opened


def config(site: Site, method: str = "GET", path: str = "/w/${city}", **more: Any) -> dict[str, Any]:
    base = {"name": "weather", "endpoint": site.url + path, "method": method, "args": CITY, "required": ["city"]}
    return {"api_config": {**base, "allow_private_ips": True, **more}}


async def ask(session: Session, entry: dict[str, Any], **arguments: Any) -> Result:
    async with session.open("api", **entry) as toolset:
        return await session.call(toolset, "weather", **arguments)


# -- api ----------------------------------------------------------------------------------------


async def test_get(session: Session, site: Site) -> None:
    site.page("/w/a%2Fb%3F%20c", "sunny", query="")
    assert await ask(session, config(site), city="a/b? c") == Result("sunny")
    assert site.asked[-1].body == b"" and site.asked[-1].path == "/w/a%2Fb%3F%20c"
    await ask(session, config(site, path="/w?q=${city}&d=${days}"), city="x&y=z")
    assert site.asked[-1].path == "/w?q=x%26y%3Dz&d="
    await ask(session, config(site, path="/w/${city}/x"), city="..")
    assert site.asked[-1].path == "/w/%2E%2E/x"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_a_body(session: Session, site: Site, method: str) -> None:
    site.page("/w/here", "done", status=201)
    assert await ask(session, config(site, method), city="here", days=2) == Result("done")
    asked = site.asked[-1]
    assert (asked.method, asked.path, json.loads(asked.body)) == (method, "/w/here", {"city": "here", "days": 2})
    assert asked.headers["content-type"] == "application/json"


async def test_delete_has_none(session: Session, site: Site) -> None:
    site.page("/w/here", "gone")
    assert await ask(session, config(site, "DELETE"), city="here") == Result("gone")
    assert site.asked[-1].method == "DELETE" and site.asked[-1].body == b""


async def test_only_get_reads(session: Session, site: Site) -> None:
    for method, reads, effect in (("GET", True, "safe"), ("PUT", False, "ask"), ("POST", False, "ask")):
        async with session.open("api", **config(site, method, instruction="The weather.")) as toolset:
            definition = (await find(toolset, "weather")).definition
            assert (definition.annotations.read_only, definition.effect) == (reads, effect)
            assert definition.description == toolset.instructions == "The weather."


async def test_what_goes_wrong(session: Session, site: Site) -> None:
    site.page("/w/x", "no such city", status=404)
    assert await ask(session, config(site), city="x") == Result("HTTP 404 Not Found: no such city", is_error=True)
    site.page("/w/x", b"\xff\xfe", status=500)
    assert (await ask(session, config(site), city="x")).output == "HTTP 500 Internal Server Error: \ufffd\ufffd"
    site.pages["/w/x"] = endless
    long = (await ask(session, config(site), city="x")).output
    assert len(long) < 30_200 and "left out" in long
    site.pages["/w/x"] = hang
    with anyio.fail_after(8):
        assert (await ask(session, config(site, timeout=1), city="x")).output == "no complete answer within 1 s"
    closed = config(site)
    closed["api_config"]["endpoint"] = "http://127.0.0.1:1/${city}"
    assert (await ask(session, closed, city="x")).output.startswith("no connection")
    guarded = await ask(session, config(site, allow_private_ips=False), city="x")
    assert guarded.is_error and "not a public address" in guarded.output


async def test_placeholders_and_secrets(tmp_path: Path, site: Site) -> None:
    session = Session(tmp_path, Builtin({"KEY": "sesame-open", "WHERE": site.url}, state=tmp_path))
    session.headers = {"x-tenant": "tenant-seven"}
    entry = config(site, headers={"X-Api-Key": "${env.KEY}", "X-Tenant": "${headers['X-Tenant']}"})
    entry["api_config"]["endpoint"] = "${env.WHERE || 'http://none.test'}/w/${city}?key=${env.KEY}"
    site.page("/w/x", "you sent sesame-open for tenant-seven")
    result = await ask(session, entry, city="x")
    assert result == Result("you sent *** for ***")
    assert site.asked[-1].path == "/w/x?key=sesame-open"
    assert site.asked[-1].headers["x-tenant"] == "tenant-seven"
    entry["api_config"]["endpoint"] = "http://127.0.0.1:1/?key=${env.KEY}"
    assert "sesame" not in (await ask(session, entry, city="x")).output
    entry["api_config"]["headers"] = {"X-Api-Key": "broken\r\nX-More: ${env.KEY}"}
    broken = await ask(session, entry, city="x")
    assert broken.is_error and "sesame" not in broken.output


async def test_an_entry_that_makes_no_sense(session: Session, site: Site) -> None:
    for more, what in (({"name": "the weather"}, "name of a tool"), ({"args": {"x": {"type": "nope"}}}, "JSON schema")):
        with pytest.raises(ToolsetFailed, match=what):
            await ask(session, config(site, **more))


async def test_an_output_schema(session: Session, site: Site) -> None:
    form = {"type": "object"}
    async with session.open("api", **config(site, output_schema=form)) as toolset:
        assert (await find(toolset, "weather")).definition.output_schema == form


# -- openapi ------------------------------------------------------------------------------------

PETS: dict[str, Any] = {
    "openapi": "3.0.3",
    "info": {"title": "Pets", "version": "1"},
    "servers": [{"url": "/{stage}/", "variables": {"stage": {"default": "v1"}}}],
    "paths": {
        "/pets/{id}": {
            "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
            "get": {
                "operationId": "get.pet",
                "summary": "One pet",
                "parameters": [
                    {"name": "tags", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}},
                    {"name": "X-Trace", "in": "header", "schema": {"type": "string"}, "description": "A trace"},
                    {"name": "Authorization", "in": "header", "schema": {"type": "string"}},
                    {"name": "c", "in": "cookie", "schema": {"type": "string"}},
                    {"$ref": "#/components/parameters/Limit"},
                ],
            },
            "delete": {"operationId": "get.pet"},
        },
        "/pets": {
            "post": {
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}},
                }
            },
            "put": {
                "operationId": "many",
                "requestBody": {"content": {"application/json": {"schema": {"type": "array"}}}},
            },
        },
    },
    "components": {
        "parameters": {"Limit": {"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 9}}},
        "schemas": {
            "Pet": {
                "allOf": [
                    {
                        "type": "object",
                        "required": ["name"],
                        "properties": {"name": {"type": "string", "pattern": "("}},
                    },
                    {"type": "object", "properties": {"parent": {"$ref": "#/components/schemas/Pet"}}},
                ]
            }
        },
    },
}


def open_pets(session: Session, site: Site, document: Any = PETS, **options: Any) -> Any:
    url = site.page("/spec/pets.json", document if isinstance(document, str) else json.dumps(document))
    return session.open("openapi", **{"url": url, "allow_private_ips": True, **options})


async def test_operations_are_tools_in_the_order_of_the_document(session: Session, site: Site) -> None:
    async with open_pets(session, site) as toolset:
        assert await names(toolset) == ["get_pet", "get_pet_2", "post_pets", "many"]
        definitions = [tool.definition for tool in await toolset.tools()]
    assert [d.annotations.read_only for d in definitions] == [True, False, False, False]
    assert [d.effect for d in definitions] == ["safe", "ask", "ask", "ask"]
    get, delete, post, many = (d.parameters or {} for d in definitions)
    assert list(get["properties"]) == ["id", "tags", "X-Trace", "limit"] and get["required"] == ["id"]
    assert get["properties"]["X-Trace"] == {"type": "string", "description": "A trace"}
    assert get["properties"]["limit"] == {"type": "integer", "maximum": 9}
    assert delete["properties"] == {"id": {"type": "string"}}
    assert list(post["properties"]) == ["body_name", "body_parent"] and post["required"] == ["body_name"]
    assert post["properties"]["body_name"] == {"type": "string"}
    assert many["properties"] == {"body": {"type": "array"}} and many["required"] == []
    assert definitions[0].description == "One pet" and definitions[2].description == "POST /pets"


async def test_calls(session: Session, site: Site) -> None:
    site.page("/v1/pets/a%20b", "found")
    site.page("/v1/pets", "made", status=201)
    async with open_pets(session, site, headers={"X-Key": "${env.HOME}"}) as toolset:
        more = {"X-Trace": "t", "limit": 3}
        assert await session.call(toolset, "get_pet", id="a b", tags=["x", "y&z"], **more) == Result("found")
        asked = site.asked[-1]
        assert asked.path == "/v1/pets/a%20b?tags=x&tags=y%26z&limit=3" and asked.headers["x-trace"] == "t"
        assert asked.headers["x-key"] == str(session.folder)
        assert await session.call(toolset, "post_pets", body_name="Rex", body_parent={"name": "Max"}) == Result("made")
        assert json.loads(site.asked[-1].body) == {"name": "Rex", "parent": {"name": "Max"}}
        await session.call(toolset, "many", body=[1])
        assert site.asked[-1].body == b"[1]" and site.asked[-1].method == "PUT"
        gone = await session.call(toolset, "get_pet_2", id="..")
        assert gone == Result("HTTP 404 Not Found: nothing here", is_error=True)
        assert site.asked[-1].path == "/v1/pets/%2E%2E"


YAML = """
openapi: 3.1.0
info: {title: x, version: 2020-01-01}
paths:
  /a:
    get: {operationId: one, description: 2020-01-01}
  /b:
    get:
      parameters:
        - {name: q, in: query, style: deepObject, schema: {type: object, default: {a: 1}}}
        - {name: n, in: query, explode: false, schema: {type: [integer, "null", nonsense], enum: []}}
"""


async def test_yaml(session: Session, site: Site) -> None:
    site.page("/b", "b")
    async with open_pets(session, site, YAML) as toolset:
        assert await names(toolset) == ["one", "get_b"]
        tool = await find(toolset, "get_b")
        assert (tool.definition.parameters or {})["properties"] == {
            "q": {"type": "object"},
            "n": {"type": ["integer", "null"]},
        }
        assert await session.call(toolset, "get_b", q={"x": 1, "y": "z"}, n=[1, 2]) != Result("b")
        assert await session.call(toolset, "get_b", q={"x": 1, "y": "z"}, n=4) == Result("b")
        assert site.asked[-1].path == "/b?q%5Bx%5D=1&q%5By%5D=z&n=4"


async def test_tools_that_were_chosen(session: Session, site: Site) -> None:
    async with open_pets(session, site, tools=("many",)) as toolset:
        assert await names(toolset) == ["many"]
    async with open_pets(session, site, readonly=True) as toolset:
        assert await names(toolset) == ["get_pet"]


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "\n".join(
    f"{name}: &{name} [{','.join(['*' + before] * 9)}]" for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)


@pytest.mark.parametrize(
    ("document", "what"),
    [
        ("{", "neither JSON nor YAML"),
        ("[]", "no OpenAPI 3"),
        ("\0\xff", "neither JSON nor YAML"),
        ('{"swagger": "2.0", "paths": {}}', "no OpenAPI 3"),
        ('{"openapi": "3.0.0"}', "no paths"),
        ("openapi: 3.0.0\npaths: {}\n" + BOMB, "too large"),
        ("openapi: 3.0.0\npaths: &p {x: *p}", "too large"),
        ("[" * 100_000, "levels deep"),
        ("a: [" * 50, "neither JSON nor YAML"),
    ],
)
async def test_documents_that_are_none(session: Session, site: Site, document: str, what: str) -> None:
    with pytest.raises(ToolsetFailed, match=what):
        async with open_pets(session, site, document):
            pass


async def test_documents_that_do_not_come(session: Session, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(what: str, url: str = f"{site.url}/spec", **options: Any) -> None:
        with anyio.fail_after(8), pytest.raises(ToolsetFailed, match=what):
            async with session.open("openapi", **{"url": url, "allow_private_ips": True, "timeout": 1, **options}):
                pass

    await fails("HTTP 404 Not Found")
    await fails("not a public address", allow_private_ips=False)
    await fails("no connection", "http://127.0.0.1:1/")
    await fails("only http", "file:///etc/passwd")
    site.pages["/spec"] = hang
    await fails("no complete answer")
    monkeypatch.setattr(openapi, "MOST", 1000)
    site.page("/spec", "x" * 1001)
    await fails("longer than 1000 bytes")
    session.confined = True
    await fails("confined to a sandbox")


def test_parts_that_make_no_sense_are_left_out() -> None:
    odd: dict[str, Any] = {
        "openapi": "3.0.0",
        "servers": ["x"],
        "paths": {
            "/a": None,
            "/b": {"get": None, "summary": "x", "post": {"parameters": [None, 7, {"name": "x"}, {"$ref": "#/no"}]}},
            "/c": {"get": {"operationId": 5, "parameters": "x", "requestBody": {"$ref": "http://else/where"}}},
            "/d": {
                "get": {"operationId": "!!!", "requestBody": {"content": {"text/plain": {}, "application/json": 1}}}
            },
        },
    }
    document = Document(odd, "http://a.test/spec/x.json")
    assert [operation.name for operation in document.operations()] == ["post_b", "get_c", "get"]
    assert document.base() == "http://a.test/"


def test_types_that_make_no_sense_are_left_out() -> None:
    schema = {"type": [{"a": 1}, ["string"], "string", "nothing"]}
    odd = {
        "openapi": "3.0.0",
        "paths": {"/": {"get": {"parameters": [{"name": "x", "in": "query", "schema": schema}]}}},
    }
    (operation,) = Document(odd, "http://a.test").operations()
    assert operation.parameters["properties"]["x"] == {"type": ["string"]}


def test_a_schema_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = {f"p{n}": {"$ref": "#/components/schemas/W"} for n in range(20)}
    data = {
        "openapi": "3.0.0",
        "paths": {
            "/": {"get": {"parameters": [{"name": "w", "in": "query", "schema": {"$ref": "#/components/schemas/W"}}]}}
        },
        "components": {
            "schemas": {"W": {"type": "object", "properties": wide}, "L": {"$ref": "#/components/schemas/L"}}
        },
    }
    (operation,) = Document(data, "http://a.test").operations()
    assert len(json.dumps(operation.parameters)) < 400_000
    monkeypatch.setattr(operations, "MOST", 5)
    with pytest.raises(Broken):
        Document(data, "http://a.test")


def test_yaml_keeps_dates_as_text() -> None:
    assert _read(b"a: 2020-01-01") == {"a": "2020-01-01"}
