"""Answers that are kept, and given again to the same words."""

from roost.core.messages import Message
from roost.engine.draft import unasked
from roost.engine.stage import Stage

KEPT = "cached"  # why an answer that was kept from before has ended


async def recalled(stage: Stage) -> bool:
    """Give the answer that was kept for these very words, where the agent keeps answers; whether there was one."""
    agent, turn, newest = stage.ready.agent, stage.turn, stage.newest()
    if agent.cache is None or newest is None or newest[1].role != "user":
        return False
    text, folder = newest[1].content, turn.working_dir
    answer = await stage.makers.answers.find(agent.cache, turn.source, agent.name, text, folder=folder)
    if answer is None:
        return False
    at = stage.makers.clock.now()
    message = Message("assistant", answer, agent=agent.name, at=at, finish=KEPT)
    await stage.journal.write(*unasked(message))
    return True


async def keep(stage: Stage) -> None:
    """Keep the turn's answer, where the agent keeps answers and this one was made for a single message."""
    agent, turn = stage.ready.agent, stage.turn
    said = [i.message for i in stage.history.items if i.message is not None and i.seq > turn.opened]
    asked = [message for message in said if message.role == "user"]
    if agent.cache is None or len(asked) != 1 or not said or said[-1].role != "assistant" or said[-1].finish == KEPT:
        return
    answer, folder = said[-1].content, turn.working_dir
    await stage.makers.answers.keep(agent.cache, turn.source, agent.name, asked[0].content, answer, folder=folder)
