"""Agent files whose model calls tools as a test wants it."""

import json
from typing import Any

from acceptance.sse import Frame

FILE = """\
version: "11"
agents:
  root:
    model: scripted
    toolsets:
    - type: filesystem
    - type: shell
models:
  scripted:
    provider: scripted
    model: scripted
    provider_opts:
      scenario:
        title: A title
        turns:
        - when: "^call"
          repeat: true
          answers: [[{calls: %s}], done]
        - answers: ["You said: {{user}}"]
          repeat: true
"""


def calling(*calls: tuple[str, dict[str, Any]]) -> str:
    """An agent that makes these calls when it is told `call`."""
    return FILE % json.dumps([{"name": name, "arguments": json.dumps(given)} for name, given in calls])


def results(frames: list[Frame]) -> list[str]:
    """What the calls of a turn came to, in the order of the calls."""
    order = [f.event["tool_call"]["id"] for f in frames if f.type == "tool_call"]
    found = {f.event["tool_call_id"]: f.event["response"] for f in frames if f.type == "tool_call_response"}
    return [found[call] for call in order]
