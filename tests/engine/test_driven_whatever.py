"""Whatever an agent CLI does, and whenever its server goes: the facts are those of a server that stayed."""

import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from engine.clis import Server, play, serving
from roost.core import events as e
from roost.core.ids import LogId, WaitId
from roost.stores.memory import Shelf

pytestmark = pytest.mark.anyio

ROUNDS = 8
BREAKS = ("stop", "take", "fill")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def script(dice: random.Random) -> str:
    """A prompt with a few steps of every kind in it."""
    steps: list[dict[str, Any]] = []
    for n in range(dice.randrange(6, 25)):
        match dice.choice(("say", "drip", "think", "tool", "ask", "usage", "status", "garbage", "flood", "sleep")):
            case "say":
                steps.append({"say": f"line {n} é\u2028"})
            case "drip":
                steps.append({"say": f"word by word {n}", "drip": 0.002})
            case "think":
                steps.append({"think": f"hm {n}"})
            case "tool":
                steps += [{"tool": "Read", "input": {"n": n}}, {"tool_output": f"some {n}"}, {"sleep_s": 0.01}]
                steps.append(dice.choice([{"tool_ok": f"read {n}"}, {"tool_err": f"no {n}"}, {"say": "never mind"}]))
            case "ask":
                steps.append({"ask": {"name": "Bash", "input": {"n": n}, "ok": f"ran {n}"}})
            case "usage":
                steps.append({"usage": {"input_tokens": n, "output_tokens": 2 * n, "cost": n / 8}})
            case "status":
                steps.append({"status": f"at {n}"})
            case "garbage":
                steps.append({"garbage": f"\u0000 what {n}?"})
            case "flood":
                steps.append({"flood": dice.randrange(1, 90_000)})
            case "sleep":
                steps.append({"sleep_s": dice.random() / 20})
    return play(*steps, **dice.choice(({}, {}, {}, {"fail": "it broke"}, {"exit_code": 3})))


async def until_over(server: Server, log: LogId, facts: int | None = None) -> bool:
    """Answer whatever is asked, until the turn is over, or so many facts are there; whether it is over."""
    with anyio.fail_after(40):
        while True:
            bell = server.hub.bell(log)
            head = await server.store.head(log)
            for wait in head.waits:
                verdict = "approve" if approved(wait.id) else "reject"
                await server.store.put(log, [e.WaitAnswered(wait.id, e.Answer(verdict, verdict))])
            if head.turn is None or (facts is not None and head.last_seq >= facts):
                return head.turn is None
            if head.waits:
                continue
            await bell.wait()


def approved(wait: WaitId) -> bool:
    """A decision that is the same in each run of a script."""
    return int(wait.rpartition("-w")[2]) % 3 != 2


async def undisturbed(home: Path, prompt: str) -> Sequence[e.Fact]:
    async with serving(home, Shelf()) as server:
        log = await server.spawn(prompt)
        assert await until_over(server, log)
        return await server.facts(log)


async def disturbed(home: Path, prompt: str, dice: random.Random) -> Sequence[e.Fact]:
    """The same, with servers that stop, are taken from, or have no room."""
    shelf, log, over, seen = Shelf(), LogId(""), False, 0
    for number in range(6):
        async with serving(home, shelf, name=f"server {number}") as server:
            log = log or await server.spawn(prompt)
            seen = (await server.store.head(log)).last_seq + dice.randrange(1, 30)
            if over := await until_over(server, log, seen):
                break
            how = dice.choice(BREAKS)
            if how == "fill":
                await full_for_a_while(server, log, dice)
            elif how == "take":
                shelf.living.pop(server.store.server)  # whoever comes next takes it for dead, and it goes on
                async with serving(home, shelf, name=f"server {number} too") as other:
                    over = await until_over(other, log, seen + dice.randrange(1, 30))
    if not over:
        async with serving(home, shelf, name="the last") as server:
            assert await until_over(server, log)
    return [event.fact for event in shelf.logs[log].events]


async def full_for_a_while(server: Server, log: LogId, dice: random.Random) -> None:
    server.store.full = True
    await anyio.sleep(dice.random() / 10)
    server.store.full = False
    with anyio.fail_after(20):
        while log in server.supervisor.owed:
            await server.house.settle_owed()
            await anyio.sleep(0.01)


def plain(facts: Sequence[e.Fact], home: Path) -> list[str]:
    """The facts as text, without what is another in each run: ids, times, folders, and how far was read."""
    (run,) = (fact.run for fact in facts if isinstance(fact, e.RunStarted))
    (known,) = (fact.provider_session for fact in facts if isinstance(fact, e.Introduced))
    (turn,) = (fact.turn for fact in facts if isinstance(fact, e.TurnEnded))
    quiet = e.RunRead | e.RunStarted | e.SessionCreated | e.TurnOpened
    text = "\n".join(repr(fact) for fact in facts if not isinstance(fact, quiet))
    for own, name in ((run, "RUN"), (known, "KNOWN"), (turn, "TURN"), (str(home), "HOME")):
        text = text.replace(own, name)
    return re.sub(r"\bat=\d+", "at=0", text).split("\n")


@pytest.mark.parametrize("seed", range(ROUNDS))
async def test_restarts_change_no_fact(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    prompt = script(dice)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    wanted = await undisturbed(tmp_path / "a", prompt)
    found = await disturbed(tmp_path / "b", prompt, dice)
    assert plain(found, tmp_path / "b") == plain(wanted, tmp_path / "a")
    assert not list((tmp_path / "b" / "runs").iterdir())
