"""What `docker login` has kept: inline, with a helper, and what becomes of helpers that misbehave."""

import base64
import json
import os
from pathlib import Path

import pytest

from roost.config import credentials
from roost.config.credentials import Login, login
from roost.config.values import Secret

pytestmark = pytest.mark.anyio

PAIR = base64.b64encode(b"ann:se:cret").decode()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "bin").mkdir()
    return {"DOCKER_CONFIG": str(tmp_path), "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}


def config(tmp_path: Path, **table: object) -> None:
    (tmp_path / "config.json").write_text(json.dumps(table))


def helper(tmp_path: Path, name: str, script: str) -> None:
    path = tmp_path / "bin" / f"docker-credential-{name}"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("key", "registry"),
    [
        ("localhost:5000", "localhost:5000"),
        ("https://r.example/v1/", "r.example"),
        ("http://r.example", "r.example"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("docker.io", "docker.io"),
    ],
)
async def test_an_inline_login_is_found_by_its_host(
    tmp_path: Path, env: dict[str, str], key: str, registry: str
) -> None:
    config(tmp_path, auths={"other.example": {"auth": "x"}, key: {"auth": PAIR}})
    found = await login(registry, env)
    assert found == Login("ann", Secret("se:cret"))
    assert found.basic == f"Basic {PAIR}"
    assert "cret" not in repr(found)
    assert await login("third.example", env) is None


async def test_the_home_folder_is_looked_at_without_docker_config(tmp_path: Path) -> None:
    (tmp_path / ".docker").mkdir()
    config(tmp_path / ".docker", auths={"r.example": {"username": "ann", "password": "p"}})
    assert await login("r.example", {"HOME": str(tmp_path)}) == Login("ann", Secret("p"))


async def test_a_token_stands_for_a_name_and_a_password(tmp_path: Path, env: dict[str, str]) -> None:
    config(tmp_path, auths={"r.example": {"auth": PAIR, "identitytoken": "t"}})
    assert await login("r.example", env) == Login(identity=Secret("t"))


async def test_a_helper_is_asked_for_its_registry(tmp_path: Path, env: dict[str, str]) -> None:
    config(tmp_path, credHelpers={"r.example": "mine"}, credsStore="all")
    answer = '{"ServerURL":"x","Username":"%s","Secret":"s"}'
    helper(
        tmp_path, "mine", f'read url; [ "$1 $url" = "get r.example" ] && echo noise >&2 && echo \'{answer % "ann"}\''
    )
    helper(
        tmp_path,
        "all",
        f"read url; [ \"$url\" = https://index.docker.io/v1/ ] && echo '{answer % '<token>'}' || exit 1",
    )
    assert await login("r.example", env) == Login("ann", Secret("s"))
    assert await login("docker.io", env) == Login(identity=Secret("s"))
    assert await login("other.example", env) is None


@pytest.mark.parametrize(
    "script",
    [
        "exit 1",
        "echo not json",
        "echo '{}'",
        "echo '[1]'",
        "printf '\\377'",
        "yes",
        "sleep 1000 & wait",
        "echo '{\"Usern",
    ],
)
async def test_a_helper_that_misbehaves_means_no_login_and_is_ended(
    tmp_path: Path, env: dict[str, str], monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    monkeypatch.setattr(credentials, "PATIENCE", 0.5)
    config(tmp_path, credsStore="bad")
    helper(tmp_path, "bad", script)
    assert await login("r.example", env) is None


@pytest.mark.parametrize("name", ["gone", "../../bin/sh", "", "a b", 7])
async def test_a_helper_that_is_not_there_means_no_login(tmp_path: Path, env: dict[str, str], name: object) -> None:
    config(tmp_path, credsStore=name)
    assert await login("r.example", env) is None


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "7", '{"auths": []}', '{"auths": {"r.example": 1}}', '{"auths": {"r.example": {"auth": "%%"}}}', "\xff",
     '{"auths": {"r.example": {}}}', '{"credHelpers": 1}', "[" * 100_000],
)  # fmt: skip
async def test_a_file_that_makes_no_sense_means_no_login(tmp_path: Path, env: dict[str, str], text: str) -> None:
    (tmp_path / "config.json").write_bytes(text.encode("latin-1"))
    assert await login("r.example", env) is None
