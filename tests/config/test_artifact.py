"""Agent files as artifacts: what a manifest holds, the version line, and what is no agent."""

import json
from datetime import UTC, datetime

import pytest

from roost.config import artifact
from roost.config.yaml import read
from roost.core.errors import AgentBroken

NOW = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)

WHOLE = b"""# Looks at changes.
version: "5"
metadata: {author: qa, license: MIT, description: Reviews, version: 1.2.0}
agents:
  root: {model: openai/gpt-5-mini, instruction: Be brief.}   # kept
"""


def test_a_manifest_says_what_the_format_asks_for() -> None:
    packed = artifact.pack(WHOLE, name="a.yaml", tool="0.1.0", now=NOW)
    assert packed.layer == WHOLE
    manifest = json.loads(packed.manifest)
    assert manifest["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert manifest["artifactType"] == manifest["config"]["mediaType"] == "application/vnd.docker.agent.config.v1+json"
    [layer] = manifest["layers"]
    assert layer == {"mediaType": "application/yaml", "digest": artifact.digest(WHOLE), "size": len(WHOLE)}
    assert manifest["config"]["digest"] == artifact.digest(packed.config)
    assert json.loads(packed.config)["rootfs"]["diff_ids"] == [artifact.digest(WHOLE)]
    assert manifest["annotations"] == {
        "io.docker.agent.version": "0.1.0",
        "io.docker.cagent.version": "0.1.0",
        "org.opencontainers.image.created": "2026-01-02T03:04:05Z",
        "org.opencontainers.image.description": "Reviews",
        "org.opencontainers.image.authors": "qa",
        "org.opencontainers.image.licenses": "MIT",
        "org.opencontainers.image.revision": "1.2.0",
    }
    assert artifact.layer(packed.manifest, "x") == artifact.Layer(artifact.digest(WHOLE), len(WHOLE))


@pytest.mark.parametrize(
    ("raw", "pushed"),
    [
        (b"agents: {root: {}}\n", b'version: "15"\nagents: {root: {}}\n'),
        (b"# one\n\nagents: {root: {}} # two", b'# one\n\nversion: "15"\nagents: {root: {}} # two'),
        (b"# one\r\nagents: {root: {}}\r\n", b'# one\r\nversion: "15"\r\nagents: {root: {}}\r\n'),
        (b"---\n# x\n  agents: {root: {}}\n", b'---\n# x\n  version: "15"\n  agents: {root: {}}\n'),
        (b"\xef\xbb\xbfagents: {root: {}}\n", b'\xef\xbb\xbfversion: "15"\nagents: {root: {}}\n'),
        (b"--- {agents: {root: {}}}\n", b'--- {version: "15",\nagents: {root: {}}}\n'),
        (b"#\xc3\xa9\xe2\x80\xa8\nagents: {root: {}}", b'#\xc3\xa9\xe2\x80\xa8\nversion: "15"\nagents: {root: {}}'),
        (b'version: "3"\nagents: {root: {}}\n', b'version: "3"\nagents: {root: {}}\n'),
    ],
)  # fmt: skip
def test_a_missing_version_becomes_one_line_and_all_else_stays(raw: bytes, pushed: bytes) -> None:
    assert artifact.versioned(raw, name="a.yaml") == pushed
    assert read(pushed).data["agents"] == read(raw).data["agents"]


def test_a_file_that_no_longer_loads_with_the_newest_version_gets_an_older_one() -> None:
    old = b"agents: {root: {}}\nmodels: {m: {type: openai, model: x}}\n"
    assert artifact.versioned(old, name="a.yaml").startswith(b'version: "0"\nagents')


def test_a_file_that_does_not_load_is_not_packed() -> None:
    with pytest.raises(AgentBroken, match=r"a\.yaml:1:17: unknown key 'modle'"):
        artifact.pack(b"agents: {root: {modle: x}}", name="a.yaml", tool="1", now=NOW)


def test_a_file_that_names_files_of_this_machine_is_not_packed() -> None:
    with pytest.raises(AgentBroken, match=r"names a file of this machine, which nobody else has: \./mate\.yaml"):
        artifact.pack(b"agents: {root: {sub_agents: [./mate.yaml]}}", name="a.yaml", tool="1", now=NOW)


def manifest(**changes: object) -> bytes:
    layer = {"mediaType": artifact.LAYER, "digest": artifact.digest(WHOLE), "size": 1}
    marked = {"layers": [layer], "annotations": {"io.docker.cagent.version": "1"}}
    return json.dumps({**marked, **changes}).encode()


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"{", "can't be read"),
        (b"[" * 100_000, "can't be read"),
        (b"\xff", "can't be read"),
        (b"[]", "no agent: it holds other images"),
        (manifest(layers=None), "no agent: it holds other images"),
        (manifest(layers=[{}]), "can't be read"),
        (manifest(layers=[{"mediaType": "application/x-tar"}]), "0 layers of type application/yaml"),
        (manifest(annotations={}), "neither io.docker.agent.version nor io.docker.cagent.version"),
        (manifest(annotations=None), "neither"),
        (manifest(annotations=[]), "neither"),
        (manifest(layers=[{"mediaType": artifact.LAYER, "digest": "md5:1", "size": 1}]), "no SHA-256 digest"),
        (manifest(layers=[{"mediaType": artifact.LAYER, "digest": "sha256:", "size": "x"}]), "can't be read"),
    ],
)  # fmt: skip
def test_what_is_no_agents_manifest_is_refused(raw: bytes, why: str) -> None:
    with pytest.raises(AgentBroken, match=why):
        artifact.layer(raw, "org/a")


def test_either_of_the_two_marks_will_do() -> None:
    for mark in artifact.MARKS:
        assert artifact.layer(manifest(annotations={mark: "1"}), "x").digest == artifact.digest(WHOLE)
