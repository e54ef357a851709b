"""The sessions that the rows of the CLI's table name."""

import os
import subprocess

from acceptance.house import until
from acceptance.zag.remote import Remote, Site, played, talk
from acceptance.zag.rows import Names


def cast(site: Site) -> Names:
    """Start all of them."""
    op, root, hang = site.op, site.folder / "project", played(hang=True)
    (root / "more").mkdir(parents=True)
    changed(site)
    done, other, deleted = op.spawn(talk("done")), op.spawn(talk("other"), tags=["tagged"]), op.spawn(talk("x"))
    failed = op.spawn(played(fail="no way"))
    op.ended(done, other, deleted, failed)
    busy = op.spawn(hang), op.spawn(hang)
    processes = [process(op, op.spawn(hang)) for _ in range(3)]
    live = op.spawn("", interactive=True)
    return Names(
        done=done,
        other=other,
        deleted=deleted,
        failed=failed,
        busy=busy,
        stopped=processes[0],
        killed=(processes[1], processes[2]),
        live=live,
        root=root,
        home=site.folder / "zoe",
    )


def process(op: Remote, session: str) -> str:
    """The process of a session, once it has one."""
    return str(until(lambda: next((p["id"] for p in op.get("/processes") if p["session_id"] == session), None)))


def changed(site: Site) -> None:
    """A repository with a change that can be reviewed."""
    root = site.folder / "project"
    env = {"PATH": os.environ["PATH"], "HOME": str(root), "GIT_CONFIG_NOSYSTEM": "1"}
    person = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    (root / "a.txt").write_text("before\n")
    for words in (["init", "-q"], ["add", "."], [*person, "commit", "-qm", "one"]):
        subprocess.run(["git", *words], cwd=root, env=env, check=True, capture_output=True)
    (root / "a.txt").write_text("after\n")
