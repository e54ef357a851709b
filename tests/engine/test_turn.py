"""One turn: which facts come in which order, and how it ends by itself."""

import pytest

from engine.fakes import FakeTool, Floor, answers, kinds, open_world

pytestmark = pytest.mark.anyio


async def test_a_plain_turn_writes_its_facts_in_the_promised_order(each_floor: Floor) -> None:
    async with open_world(each_floor, script=answers(["Hel", "lo"]), tools=[FakeTool("look")]) as world:
        session = await world.session()
        facts = await world.play(session, "hi")
        assert kinds(facts) == [
            "TurnOpened",
            "MessageWritten",
            "AgentShown",
            "TeamShown",
            "ToolsShown",
            "UserSaid",
            "TurnStarted",
            "ToolsShown",
            "ModelAsked",
            "TextAdded",
            "MessageAdded",
            "UsageAdded",
            "TurnEnded",
        ]
        assert facts[-1].outcome == "normal"
        assert await world.talk(session) == [("user", "hi"), ("assistant", "Hello")]
        head = await world.store.head(session)
        assert (head.input_tokens, head.output_tokens, head.messages) == (15, 2, 2)
        assert head.cost == pytest.approx((10 + 20 + 2.5) / 1e6)
