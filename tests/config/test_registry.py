"""A real registry, and one that wants a login: push, pull, what is kept, and what is not believed."""

import json
import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fakes import registry
from fakes.registry import Front, guarded
from roost.config import artifact, remotes
from roost.config.references import Reference, parse
from roost.config.remotes import Remotes
from roost.core.errors import AgentBroken, AgentUnreachable

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(not registry.installed(), reason=registry.MISSING)]

ONE = b'version: "15"\nagents: {root: {description: one}}\n'
TWO = b'version: "15"\nagents: {root: {description: two}}\n'


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registry.serve(tmp_path_factory.mktemp("registry") / "data") as found:
        yield found


def packed(raw: bytes) -> artifact.Packed:
    return artifact.pack(raw, name="a.yaml", tool="1", now=datetime.now(UTC))


def named(text: str) -> Reference:
    found = parse(text)
    assert found is not None
    return found


@pytest.fixture
def name(address: str, request: pytest.FixtureRequest) -> str:
    """A repository of the test's own."""
    return f"{address}/team/{abs(hash(request.node.name))}"


def login(tmp_path: Path, registry: str, **entry: str) -> dict[str, str]:
    """An environment in which `docker login` was done."""
    (tmp_path / "config.json").write_text(json.dumps({"auths": {registry: entry}}))
    return {"DOCKER_CONFIG": str(tmp_path), "PATH": os.environ["PATH"]}


async def test_what_is_pushed_is_pulled_byte_for_byte_by_tag_and_by_digest(tmp_path: Path, name: str) -> None:
    there, here = Remotes(tmp_path / "there", {}), Remotes(tmp_path / "here", {})
    digest = await there.push(named(f"{name}:v1"), packed(ONE))
    kept = await here.pull(named(f"{name}:v1"))
    assert (kept.raw, kept.digest) == (ONE, digest)
    assert (await here.fetch(f"{name}@{digest}")).raw == ONE
    assert (await here.fetch(f"oci://{name}:v1")).raw == ONE
    assert {(one.reference, one.digest) for one in await here.kept()} == {
        (f"{name}:v1", digest),
        (f"{name}@{digest}", digest),
    }


async def test_a_push_of_the_same_again_is_harmless(tmp_path: Path, name: str) -> None:
    once = packed(ONE)
    assert await Remotes(tmp_path, {}).push(named(name), once) == await Remotes(tmp_path, {}).push(named(name), once)


async def test_a_new_content_of_a_tag_is_fetched_and_the_same_is_not(tmp_path: Path, address: str, name: str) -> None:
    path = name.partition("/")[2]
    with guarded(Front(address, kind="basic")) as front:
        env = login(tmp_path, front.address, username="ann", password="secret")
        there, reference = Remotes(tmp_path / "there", env), f"{front.address}/{path}"
        await there.push(named(reference), packed(ONE))
        here = Remotes(tmp_path / "here", env)
        assert (await here.fetch(reference)).raw == ONE
        front.seen.clear()
        assert (await here.fetch(reference)).raw == ONE
        assert front.seen == []  # somebody has just asked
        assert (await here.fetch(reference, anew=True)).raw == ONE
        assert set(front.asked("")) == {"HEAD"}
        await there.push(named(reference), packed(TWO))
        assert (await here.fetch(reference, anew=True)).raw == TWO


async def test_without_the_network_what_is_kept_will_do(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with registry.serve(tmp_path / "data") as address:
        remote = Remotes(tmp_path, {})
        digest = await remote.push(named(f"{address}/a/b"), packed(ONE))
        await remote.fetch(f"{address}/a/b")
        await remote.fetch(f"{address}/a/b@{digest}")
    later = Remotes(tmp_path, {})
    fetched = await later.fetch(f"{address}/a/b")
    assert fetched.raw == ONE
    assert "can't be reached" in fetched.stale
    assert [record.action for record in caplog.records] == ["agent_stale"]  # type: ignore[attr-defined]
    assert (await later.fetch(f"{address}/a/b@{digest}")).stale == ""  # nobody had to be asked
    with pytest.raises(AgentUnreachable, match="can't be reached"):
        await later.fetch(f"{address}/a/other")
    with pytest.raises(AgentUnreachable):
        await later.pull(named(f"{address}/a/b"))  # who says `pull` wants what is there now


@pytest.mark.parametrize("part", ["raw", "manifest"])
async def test_a_spoilt_copy_is_fetched_anew(tmp_path: Path, name: str, part: str) -> None:
    once = packed(ONE)
    await Remotes(tmp_path, {}).push(named(name), once)
    await Remotes(tmp_path, {}).fetch(name)
    content = once.layer if part == "raw" else once.manifest
    blob = tmp_path / "store/blobs/sha256" / artifact.digest(content).removeprefix("sha256:")
    blob.write_bytes(b"spoilt")
    fetched = await Remotes(tmp_path, {}).fetch(name)
    assert (fetched.raw, fetched.stale) == (ONE, "")
    assert blob.read_bytes() == content


async def test_only_the_last_few_contents_of_a_tag_are_kept(tmp_path: Path, name: str) -> None:
    remote = Remotes(tmp_path, {})
    blobs = tmp_path / "store/blobs/sha256"
    for number in range(8):
        await remote.push(named(name), packed(ONE + b"#" * number))
        await remote.pull(named(name))
        for blob in blobs.iterdir():  # as after an hour
            os.utime(blob, (0, 0))
    await remote.push(named(name), packed(TWO))
    assert (await remote.pull(named(name))).raw == TWO
    assert len(list(blobs.iterdir())) == 2 * 5


async def test_what_is_not_there_is_said_in_a_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(AgentUnreachable, match=f"{name}:no can't be fetched: the registry has no such agent"):
        await Remotes(tmp_path, {}).fetch(f"{name}:no")


# -- logins -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["basic", "bearer"])
async def test_a_login_is_used_where_the_registry_wants_one(tmp_path: Path, address: str, name: str, kind: str) -> None:
    path = name.partition("/")[2]
    with guarded(Front(address, kind=kind)) as front:
        env = login(tmp_path, front.address, username="ann", password="secret")
        digest = await Remotes(tmp_path, env).push(named(f"{front.address}/{path}:x"), packed(ONE))
        kept = await Remotes(tmp_path, env).pull(named(f"{front.address}/{path}:x"))
        assert (kept.raw, kept.digest) == (ONE, digest)
        with pytest.raises(AgentUnreachable, match=r"docker login|refuses the login"):
            await Remotes(tmp_path, {"HOME": "/nonexistent"}).pull(named(f"{front.address}/{path}:y"))
        wrong = login(tmp_path, front.address, username="ann", password="wrong")
        with pytest.raises(AgentUnreachable, match=r"docker login|refuses the login"):
            await Remotes(tmp_path, wrong).pull(named(f"{front.address}/{path}:y"))


async def test_an_identity_token_is_exchanged(tmp_path: Path, address: str, name: str) -> None:
    path = name.partition("/")[2]
    with guarded(Front(address, identity="r-token")) as front:
        env = login(tmp_path, front.address, identitytoken="r-token")
        await Remotes(tmp_path, env).push(named(f"{front.address}/{path}"), packed(ONE))
        assert "POST" in front.asked("/token")


async def test_anybody_gets_a_token_where_the_registry_gives_one(tmp_path: Path, address: str, name: str) -> None:
    path = name.partition("/")[2]
    await Remotes(tmp_path, {}).push(named(name), packed(ONE))
    with guarded(Front(address, anonymous=True)) as front:
        assert (await Remotes(tmp_path, {"HOME": "/nonexistent"}).fetch(f"{front.address}/{path}")).raw == ONE


# -- what is not believed -----------------------------------------------------------------------


async def test_a_content_that_is_not_its_digest_is_refused(tmp_path: Path, address: str, name: str) -> None:
    path = name.partition("/")[2]
    await Remotes(tmp_path, {}).push(named(name), packed(ONE))
    for spoil in ({"/blobs/": TWO}, {"/manifests/": packed(TWO).manifest}):
        with (
            guarded(Front(address, anonymous=True, spoil=spoil)) as front,
            pytest.raises(AgentUnreachable, match="something else than sha256"),
        ):
            await Remotes(tmp_path / front.address, {"HOME": "/nonexistent"}).fetch(f"{front.address}/{path}")


@pytest.mark.parametrize("part", ["/blobs/", "/manifests/"])
async def test_an_answer_without_end_is_cut_off(tmp_path: Path, address: str, name: str, part: str) -> None:
    path = name.partition("/")[2]
    await Remotes(tmp_path, {}).push(named(name), packed(ONE))
    with (
        guarded(Front(address, anonymous=True, spoil={part: b"x" * 5_000_000})) as front,
        pytest.raises(AgentUnreachable, match="sent more than"),
    ):
        await Remotes(tmp_path / "other", {"HOME": "/nonexistent"}).fetch(f"{front.address}/{path}")


async def test_an_image_is_no_agent(tmp_path: Path, address: str, name: str) -> None:
    remote = Remotes(tmp_path, {})
    once = packed(ONE)
    image = artifact.Packed(
        json.dumps({**json.loads(once.manifest), "annotations": {}}).encode(), once.config, once.layer
    )
    await remote.push(named(name), image)
    with pytest.raises(AgentBroken, match="neither io"):
        await remote.fetch(name)


async def test_a_registry_that_never_answers_is_given_up(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remotes, "PATIENCE", 0.3)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(AgentUnreachable, match=r"took more than 0\.3 s"),
    ):
        await Remotes(tmp_path, {}).fetch(f"127.0.0.1:{silent.getsockname()[1]}/a/b")
