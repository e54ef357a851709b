"""The files of the page: which there are, how they are sent, and that nothing else is."""

import gzip
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from flit_core.wheel import make_wheel_in
from starlette.datastructures import Headers

from roost.doors.web.files import FOLDER, KINDS, POLICY, answer, files
from roost.testing.house import open_house

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]


async def test_every_file_is_served_as_it_is_to_whoever_asks(tmp_path: Path) -> None:
    async with open_house(tmp_path, token="t") as house:
        house.client.headers.pop("authorization")
        for file in files():
            answer = await house.client.get(file.path, headers={"accept-encoding": "identity"})
            assert answer.status_code == 200
            assert answer.content == file.raw
            assert answer.headers["content-security-policy"] == POLICY
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert answer.headers["cross-origin-opener-policy"] == "same-origin"
            assert answer.headers["cache-control"] == "no-cache"
            head = await house.client.head(file.path, headers={"accept-encoding": "identity"})
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers["content-length"] == str(len(file.raw))
            assert head.headers["etag"] == answer.headers["etag"]


async def test_the_page_is_at_the_root_and_its_files_beside(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        page = await house.client.get("/")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert page.text == (FOLDER / "index.html").read_text()
        for path in re.findall(r'(?:src|href)="([^"#]+)"', page.text):
            assert path.startswith("/")
            assert (await house.client.get(path)).status_code == 200, path


async def test_what_a_browser_has_is_not_sent_again(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        first = await house.client.get("/", headers={"accept-encoding": "gzip"})
        for known in (first.headers["etag"], f"W/{first.headers['etag']}", f'"x", {first.headers["etag"]}', "*"):
            again = await house.client.get("/", headers={"if-none-match": known})
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["etag"]
        assert (await house.client.get("/", headers={"if-none-match": '"other"'})).status_code == 200


async def test_long_files_are_packed_for_whoever_takes_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = next(file for file in sorted(files(), key=lambda file: -len(file.packed)))
    if not long.packed:
        pytest.skip("no file of the page is long enough yet")
    async with open_house(tmp_path) as house:
        packed = await house.client.get(long.path, headers={"accept-encoding": "br, gzip;q=0.5"})
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.headers["vary"] == "accept-encoding"
        assert packed.content == long.raw
        assert gzip.decompress(long.packed) == long.raw
        for refused in ("identity", "gzip;q=0", ""):
            plain = await house.client.get(long.path, headers={"accept-encoding": refused})
            assert "content-encoding" not in plain.headers
            assert plain.content == long.raw
            assert plain.headers["etag"] != packed.headers["etag"]


@pytest.mark.parametrize(
    "path",
    [
        "/static/../files.py",
        "/static/%2e%2e/files.py",
        "/static/..%2ffiles.py",
        "/static//index.html",
        "/static/",
        "/static",
        "/static/index.html",
        "/static/.hidden.js",
        "/files.py",
        "//etc/passwd",
    ],
)
async def test_nothing_else_is_there(tmp_path: Path, path: str) -> None:
    async with open_house(tmp_path) as house:
        answer = await house.client.send(house.client.build_request("GET", house.url + path))
        assert answer.status_code == 404, path


async def test_files_may_only_be_read(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            assert (await house.client.request(method, "/")).status_code == 405


def test_only_kinds_that_browsers_need_are_served(tmp_path: Path) -> None:
    (tmp_path / "icons").mkdir()
    for name in ("index.html", "app.js", "notes.txt", ".secret.js", "icons/a.png", "app.py"):
        (tmp_path / name).write_bytes(b"x")
    assert [file.path for file in files(tmp_path)] == ["/static/app.js", "/static/icons/a.png", "/"]
    assert {place.suffix for place in FOLDER.rglob("*") if place.is_file()} <= set(KINDS)


async def test_an_empty_file_has_its_kind_too(tmp_path: Path) -> None:
    (tmp_path / "empty.css").write_bytes(b"")
    (file,) = files(tmp_path)
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {}

    async def send(message: Any) -> None:
        sent.append(message)

    await answer(file, Headers({}))({"type": "http"}, receive, send)
    assert dict(sent[0]["headers"])[b"content-type"] == KINDS[".css"].encode()


def test_the_service_worker_knows_all_files_and_changes_with_each(tmp_path: Path) -> None:
    def told(name: str, text: str) -> dict[str, object]:
        folder = tmp_path / name
        folder.mkdir()
        for file in ("index.html", "sw.js"):
            (folder / file).write_bytes(b"x")
        (folder / "app.js").write_text(text)
        (worker,) = (file for file in files(folder) if file.path == "/sw.js")
        line, _, rest = worker.raw.partition(b"\n")
        assert rest == b"x"
        found: dict[str, object] = json.loads(line.removeprefix(b"self.__SHELL__ = "))
        return found

    one, two = told("one", "1"), told("two", "2")
    assert one["files"] == ["/static/app.js", "/"]
    assert one["version"] != two["version"]


def test_the_package_brings_them_along(tmp_path: Path) -> None:
    built = make_wheel_in(ROOT / "pyproject.toml", tmp_path, editable=False)
    names = set(zipfile.ZipFile(built.file).namelist())
    for place in FOLDER.rglob("*"):
        if place.is_file():
            assert f"roost/doors/web/static/{place.relative_to(FOLDER).as_posix()}" in names
