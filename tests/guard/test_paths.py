"""Files of this machine that callers, models and agents name, and must not get."""

import json
import os
from pathlib import Path

import pytest

from acceptance.house import House
from guard.scripts import calling, results

USER = {"role": "user", "content": "hi"}


def test_a_caller_names_no_file_as_a_model(house: House) -> None:
    secret = house.folder / "secret.yaml"
    secret.write_text("hunter2: [\n")
    os.mkfifo(house.folder / "pipe")
    house.agent(text=calling())
    server = house.serve()
    session = server.create()
    for name in (str(secret), "secret.yaml", "../x", "/dev/zero", str(house.folder / "pipe"), "/proc/self/environ"):
        for ref in (f"scripted/{name}", f"demo, SCRIPTED/{name}"):
            reply = server.post(f"/api/sessions/{session}/agent/my-agent", {"messages": [USER], "model": ref})
            assert reply.status == 422, ref
            assert "only agent files may name it" in reply.message
            assert "hunter2" not in reply.message
            template = {"agent_model_overrides": {"root": ref}}
            assert server.post("/api/sessions", template).status == 422
    long = server.post(f"/api/sessions/{session}/agent/my-agent", {"messages": [USER], "model": "a" * 5000})
    assert long.status == 422 and len(long.message) < 200
    assert server.snapshot(session)["last_event_seq"] == 1
    assert server.run(session, "hi")[-1].event["reason"] == "normal"


@pytest.mark.parametrize("place", ["/dev/zero", "pipe", "/proc/self/environ", "loop", "a\nb"])
def test_a_file_without_an_end_hangs_no_turn(house: House, place: str) -> None:
    os.mkfifo(house.folder / "pipe")
    (house.folder / "loop").symlink_to("loop")
    house.agent()
    server = house.serve(env={"MARK": "k33p-me-inside"})
    path = place if place.startswith("/") else str(house.folder / place)
    part = {"type": "file", "file": {"path": path, "mime_type": "text/plain"}}
    message = {"role": "user", "content": "look", "multi_content": [part]}
    reply = server.post(f"/api/sessions/{server.create()}/agent/my-agent", {"messages": [message]})
    assert reply.status == 200 and b'"reason":"normal"' in reply.body
    assert house.model.requests
    assert "k33p-me-inside" not in json.dumps(house.model.requests)
    assert server.term() == 0


def test_sessions_stay_inside_of_their_root(house: House, tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "real").mkdir(parents=True)
    outside.mkdir()
    (root / "out").symlink_to(outside)
    (root / "in").symlink_to("real")
    house.agent(text=calling())
    free = house.serve()
    old = free.create(working_dir=str(outside))
    assert free.term() == 0
    server = house.serve("--session-workingdir-root", str(root), "--working-dir", str(root))
    for path in (str(outside), "out", str(root / "out"), "/", "..", "real/../../outside", "/proc/self/cwd/../outside"):
        reply = server.post("/api/sessions", {"working_dir": path})
        assert reply.status == 400, path
        assert reply.message.startswith("invalid working directory: ")
    linked = server.create(working_dir="in")
    assert server.snapshot(linked)["working_dir"] == str(root / "real"), "a link may lead elsewhere tomorrow"
    reply = server.post(f"/api/sessions/{old}/agent/my-agent", {"messages": [USER]})
    assert reply.status == 400 and "outside the permitted root" in reply.message
    part = {"type": "file", "file": {"path": "/etc/passwd"}}
    bodies = {"messages": [{"content": "x", "multi_content": [part]}]}
    for route in ("agent/my-agent", "steer", "followup"):
        server.run(linked, "hi")
        assert server.post(f"/api/sessions/{linked}/{route}", bodies).status == 400, route
    written = {"message": {"message": {"role": "user", "multi_content": [part]}}}
    assert server.post(f"/api/sessions/{linked}/messages", written).status == 400


def test_file_tools_do_not_look_into_processes(house: House) -> None:
    """They run inside the server and, as they only read, unasked: what lies there are its own keys."""
    names = ("environ", "cmdline", "mem", "maps", "task/../environ")
    calls = [("read_file", {"path": f"/proc/{who}/{name}"}) for who in ("self", "thread-self") for name in names]
    calls += [
        ("list_directory", {"path": "/proc/self/fd"}),
        ("search_files_content", {"path": "/proc/self", "query": "s3cret"}),
        ("read_file", {"path": "/proc/self/root/etc/hostname"}),
    ]
    house.agent(text=calling(*calls))
    server = house.serve("--auth-token", "s3cret")
    server.headers["Authorization"] = "Bearer s3cret"
    found = results(server.run(server.create(), "call"))
    assert len(found) == len(calls)
    for (name, given), result in zip(calls[:-1], found[:-1], strict=True):
        assert "is not allowed" in result or "not found" in result, (name, given, result)
        assert "s3cret" not in result


def test_lists_of_directories_hold(house: House) -> None:
    work = house.folder / "work"
    (work / "private").mkdir(parents=True)
    (work / "private" / "x").write_text("k33p")
    (work / "link").symlink_to("private")
    (work / "away").symlink_to("/etc")
    calls = [
        ("read_file", {"path": path})
        for path in ("private/x", "link/x", "./link/../private/x", "away/passwd", "../agents/my-agent.yaml", "~/x")
    ]
    calls += [
        ("write_file", {"path": "away/roost-was-here", "content": "x"}),
        ("write_file", {"path": "link/y", "content": "x"}),
        ("create_directory", {"paths": ["../made"]}),
        ("remove_directory", {"paths": ["private"]}),
        ("list_directory", {"path": ".."}),
        ("search_files_content", {"path": ".", "query": "k33p"}),
    ]
    file = calling(*calls).replace(
        "- type: filesystem", '- type: filesystem\n      allow_list: ["."]\n      deny_list: [private]'
    )
    house.agent(text=file)
    server = house.serve()
    found = results(server.run(server.create(working_dir=str(work), tools_approved=True), "call"))
    assert all("is not allowed" in result for result in found[:-1]), found
    assert found[-1].startswith("No matches found")
    assert not Path("/etc/roost-was-here").exists()
    assert sorted(path.name for path in work.iterdir()) == ["away", "link", "private"]


def test_names_that_are_no_text_spoil_no_listing(house: House) -> None:
    work = house.folder / "work"
    work.mkdir()
    Path(os.fsdecode(bytes(work) + b"/\xff.txt")).write_text("needle")
    calls = [
        ("directory_tree", {"path": "."}),
        ("list_directory", {"path": "."}),
        ("search_files_content", {"path": ".", "query": "needle"}),
    ]
    house.agent(text=calling(*calls))
    server = house.serve()
    found = results(server.run(server.create(working_dir=str(work)), "call"))
    assert all("?.txt" in result for result in found), found
