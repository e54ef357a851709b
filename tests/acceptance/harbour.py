"""A small project to talk about: tide tables of a harbour, an agent that knows it, and what its model says to whom."""

import json
from pathlib import Path

from acceptance.house import House

PROCEED = "Please proceed."  # what somebody reads who works for another agent

TIDES = '''\
"""When the water is high."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

PERIOD = timedelta(hours=12, minutes=25)


def next_high(last: datetime, now: datetime) -> datetime:
    """The first high water after now."""
    while last <= now:
        last += PERIOD
    return last.replace(tzinfo=None)
'''

README = """\
# Tides

High water at Port Ellis, for the board at the quay.
"""

AGENT = """\
providers:
  house:
    base_url: {url}/v1
models:
  large: {{provider: house, model: tern-large}}
  small: {{provider: house, model: tern-small}}
agents:
  root:
    model: large
    description: Knows the tide tables of Port Ellis, and mends what computes them.
    instruction: Help with the tide tables.
    sub_agents: [surveyor]
    toolsets: [{{type: filesystem}}, {{type: shell}}, {{type: user_prompt}}]
    commands:
      forecast: Say when high water is at each quay this week.
  surveyor:
    model: small
    description: Reads the gauges.
    instruction: Read the gauges.
    toolsets: [{{type: shell}}]
"""


def settle(house: House) -> Path:
    """The project's folder, in the home of whoever works there; its agent file is `harbour.yaml`."""
    folder = house.folder / "home" / "tides"
    (folder / "src").mkdir(parents=True)
    (folder / "README.md").write_text(README)
    (folder / "src" / "tides.py").write_text(TIDES)
    (folder / "harbour.yaml").write_text(AGENT.format(url=house.model.url))
    return folder


def speak(house: House) -> None:
    """Let the model know what it has to say to whom."""
    house.model.cues.update(SAYS)
    house.model.entitle("High water an hour late")


WHY = "Why is high water an hour late in summer?"
ELSE = "Does anything else drop the zone?"
REMOVE = "Then remove the old tables."
TIDY = "And tidy up what nobody needs."
CHECK = "Run the checks, all of them."
ORDER = "Order a new gauge for the north quay."
MOOR = "Book moorings for the regatta."
GAUGES = "What do the gauges say?"
STEER = "Only the north quay is of interest."
TELL = "Tell me how tides come about."

TOLD = (
    "The moon pulls at the sea, and so does the sun. Where both pull in one line, the tides are highest: springs. "
    "Where they pull across each other, they are lowest: neaps."
)

_EDIT = json.dumps(
    {
        "path": "src/tides.py",
        "edits": [
            {
                "oldText": "PERIOD = timedelta(hours=12, minutes=25)",
                "newText": 'HARBOUR = ZoneInfo("Europe/London")\nPERIOD = timedelta(hours=12, minutes=25)',
            },
            {
                "oldText": "    return last.replace(tzinfo=None)",
                "newText": "    return last.astimezone(HARBOUR)",
            },
        ],
    }
)
_FORM = json.dumps(
    {
        "title": "A gauge for the north quay",
        "message": "Which gauge is it to be? The old one was a float gauge of 2009.",
        "schema": {
            "type": "object",
            "properties": {
                "kind": {"type": "string", "title": "Kind", "enum": ["radar", "pressure", "float"]},
                "range": {"type": "number", "title": "Range in metres", "minimum": 2, "maximum": 20},
                "contact": {"type": "string", "title": "Who takes delivery", "format": "email"},
                "heated": {"type": "boolean", "title": "Heated, for winters with ice"},
            },
            "required": ["kind", "range"],
        },
    }
)
_TASK = json.dumps(
    {"agent": "surveyor", "task": "Read the gauge at the north quay.", "expected_output": "The level, in metres"}
)

SAYS = {
    WHY: f"""[[usage 4120 260]]
[[think The board shows local time, so something drops the zone on the way. next_high is the place to look.]]
[[hold 8]][[say The times themselves are right: somewhere the **time zone** gets lost. I look for it.]]
[[tool shell {{"cmd": "grep -n tzinfo src/*.py"}}]]
[[say Here it is. `next_high` keeps the hour and throws the zone away.]]
[[tool edit_file {_EDIT}]]
[[say Mended: `next_high` gives back the time **of the harbour** now.

| | before | now |
|---|---|---|
| in winter | 06:12 | 06:12 |
| in summer | 06:12 | 07:12 |

The tables that are on the board were computed the old way.]]""",
    ELSE: """[[usage 5310 120]]
[[tool shell {"cmd": "grep -rn datetime src"}]]
[[tool shell {"cmd": "grep -n water README.md"}]]
[[say Nothing else does.]]""",
    REMOVE: """[[usage 5480 40]][[tool shell {"cmd": "rm -r tables"}]][[say Then they stay.]]""",
    TIDY: """[[usage 5560 60]][[tool shell {"cmd": "git clean -fdx"}]][[say I leave the folder as it is.]]""",
    CHECK: """[[usage 5700 90]]
[[tool shell {"cmd": "touch checked"}]]
[[tool shell {"cmd": "touch checked-again"}]]
[[say All is well.]]""",
    ORDER: f"""[[usage 2100 80]]
[[say I need to know a few things first.]][[tool user_prompt {_FORM}]]
[[say Ordered: a **radar** gauge for up to 8 m.]]""",
    GAUGES: f"""[[usage 3900 70]]
[[tool transfer_task {_TASK}]]""",
    PROCEED: """[[usage 1200 30]]
[[hold 3]][[say I ask the gauge of the north quay. ]]
[[tool shell {"cmd": "echo 3.42 m, rising"}]]
[[say 3.42 m, rising.]]""",
    MOOR: "[[usage 800 20]][[tool form {}]] [[tool page {}]] [[say So be it.]]",
    STEER: "[[usage 4010 60]][[say The north quay stands at **3.42 m**, and it rises.]]",
    TELL: f"""[[usage 900 60]][[hold 12]]
[[say {TOLD}]]""",
}
