"""Files among the agents that are no agents: the others are served all the same."""

import os
from pathlib import Path

from acceptance.house import House
from guard.scripts import calling

ALIASES = "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def test_odd_neighbours_hide_no_agent(house: House, tmp_path: Path) -> None:
    folder = house.agents
    house.agent("good", text=calling())
    (folder / "loop.yaml").symlink_to("loop.yaml")
    (folder / "gone.yaml").symlink_to("nothing.yaml")
    (folder / "zero.yaml").symlink_to("/dev/zero")
    (folder / "folder.yaml").mkdir()
    os.mkfifo(folder / "pipe.yaml")
    Path(os.fsdecode(bytes(folder) + b"/\xff.yaml")).write_text("agents: {}")
    (folder / "binary.yaml").write_bytes(bytes(range(256)))
    (folder / "bomb.yaml").write_text("a: &a [x, x, x, x, x, x, x, x, x]\n" + ALIASES)
    (folder / "deep.yaml").write_text("a: " + "[" * 50_000)
    (folder / "code.yaml").write_text(f"!!python/object/apply:os.system ['touch {tmp_path}/run']")
    (folder / "huge.yaml").write_bytes(b"#" * (20 << 20))
    server = house.serve()
    assert [agent["name"] for agent in server.get("/api/agents").json] == ["good"]
    assert server.run(server.create(), "hi", agent="good")[-1].event["reason"] == "normal"
    for name in ("loop", "gone", "binary", "bomb", "deep", "code", "huge", "%EF%BF%BD"):
        assert server.get(f"/api/agents/{name}").status == 500, name
    for name in ("zero", "folder", "pipe"):
        assert server.get(f"/api/agents/{name}").status == 404, name
    assert len(server.get("/ready").json["broken_agents"]) == 8
    assert not (tmp_path / "run").exists()


def test_what_is_written_in_a_broken_file_is_told_to_no_stranger(house: House) -> None:
    house.agent("bent", text="sk-live-123456: 1\n")
    server = house.serve("--auth-token", "s3cret")
    assert server.get("/ready").json["broken_agents"] == ["bent"]
    reply = server.get("/api/agents/bent", headers={"Authorization": "Bearer s3cret"})
    assert reply.status == 500 and "unknown key" in reply.message
