"""References to agents elsewhere: how they read, what is the same, and under which id they are served."""

import pytest

from roost.config.references import canonical, is_external, is_near, lasting, parse, source_id

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("agentcatalog/coder", "docker.io/agentcatalog/coder:latest"),
        ("agentcatalog/coder:v2", "docker.io/agentcatalog/coder:v2"),
        ("oci://agentcatalog/coder", "docker.io/agentcatalog/coder:latest"),
        ("index.docker.io/a/b", "docker.io/a/b:latest"),
        ("docker.io/coder", "docker.io/library/coder:latest"),
        ("localhost/a/b", "localhost/a/b:latest"),
        ("localhost:5000/a", "localhost:5000/a:latest"),
        ("ghcr.io/org/team/agent:1.0_x-y", "ghcr.io/org/team/agent:1.0_x-y"),
        (f"org/a@{DIGEST}", f"docker.io/org/a@{DIGEST}"),
        (f"org/a:v1@{DIGEST}", f"docker.io/org/a:v1@{DIGEST}"),
        ("[::1]:5000/a/b:t", "[::1]:5000/a/b:t"),
        ("Registry.Example/a", "registry.example/a:latest"),
    ],
)
def test_a_reference_is_read_whole(text: str, whole: str) -> None:
    assert str(parse(text)) == whole
    assert canonical(text) == whole


@pytest.mark.parametrize(
    "text",
    [
        "", "a b/c", "./a/b", "/a/b", "~/a", "a//b", "a/", "/", "org/a:", "org/a:-x", "org/A", "org/a@sha256:12",
        f"org/a@{DIGEST}x", "org/a@sha512:" + "0" * 128, "http://a/b:x y", "a/b:" + "x" * 129, "../a", "a/../b",
        "x" * 3000, "é.example/a", "a/b?x", "a/b#c", "a.example:99999999/b",
    ],
)  # fmt: skip
def test_what_is_no_reference_is_none(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(
    ("reference", "id"),
    [
        ("agentcatalog/coder", "agentcatalog_coder.yaml"),
        ("org/name:tag", "org_name_tag.yaml"),
        (f"org/a@{DIGEST}", f"org_a_{DIGEST.replace(':', '_')}.yaml"),
        ("localhost:5000/a/x.yaml", "localhost_5000_a_x.yaml"),
        ("oci://org/name", "org_name.yaml"),
    ],
)
def test_the_id_is_the_reference_with_what_does_not_fit_replaced(reference: str, id: str) -> None:
    assert source_id(reference) == id


def test_only_what_can_be_nothing_else_is_external() -> None:
    assert all(map(is_external, ["org/a", "https://x/y", "oci://a", "HTTP://x"]))
    assert not any(map(is_external, ["coder", "name:tag", "./a/b", "", "a b/c"]))


@pytest.mark.parametrize("host", ["localhost", "localhost:5000", "127.0.0.1:80", "127.8.0.1", "[::1]:5000"])
def test_this_machine_is_near(host: str) -> None:
    assert is_near(f"{host}/a")
    assert is_near(f"http://{host}/a.yaml")


@pytest.mark.parametrize("host", ["localhost.example", "127.0.0.1.example:80", "10.0.0.1:5000", "registry.example"])
def test_other_machines_are_not(host: str) -> None:
    assert not is_near(f"{host}/a")
    assert not is_near(f"http://{host}/a.yaml")
    assert not is_near(f"http://localhost@{host}/a.yaml")


def test_signatures_and_tokens_do_not_make_another_address() -> None:
    base = "https://x.example/a.yaml?ref=main"
    assert lasting(f"{base}&token=abc") == lasting(f"{base}&X-Amz-Signature=1&X-Amz-Date=2&Expires=3") == lasting(base)
    assert lasting(base) != lasting("https://x.example/a.yaml?ref=dev")
    assert lasting(base) != lasting("https://x.example/b.yaml?ref=main")
