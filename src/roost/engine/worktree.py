"""A session's own working copy: made before its first run, left when its turn ends."""

from collections.abc import Sequence

from roost.core import events as e
from roost.core.errors import LaunchFailed
from roost.core.orders import Order
from roost.engine.stage import Stage


async def enter(stage: Stage, order: Order) -> None:
    """Make the worktree that a session was ordered with, unless it has it; made again, it has the same name.

    Raises:
        LaunchFailed: it can't be made, or the session has to be confined: Git needs the repository,
            which nobody in a sandbox sees.
    """
    head, makers = stage.journal.head, stage.makers
    if order.worktree is None or head.worktree_path:
        return
    if stage.makers.confines(stage.turn):
        raise LaunchFailed("a worktree and a sandbox exclude each other")
    if makers.worktrees is None:
        raise LaunchFailed("this server makes no worktrees")
    made = await makers.worktrees.make(stage.turn.working_dir, order.worktree or head.worktree)
    await stage.journal.write(e.WorktreeMade(made.name, made.path, made.repository))
    named = {"worktree_name": made.name, "worktree_path": made.path, "worktree_repository": made.repository}
    await stage.fire("worktree_create", **named)


async def leave(stage: Stage) -> Sequence[e.Fact]:
    """Remove the worktree where no work would be lost, and say what became of it."""
    head, makers = stage.journal.head, stage.makers
    if not head.worktree_path or makers.worktrees is None:
        return ()
    removed = await makers.worktrees.leave(head.worktree_path, stage.turn.working_dir)
    return (e.WorktreeLeft(head.worktree_path, removed),)
