"""One setting for thinking, put as each provider wants it."""

import pytest

from roost.core.agents import ModelSpec
from roost.providers import thinking
from roost.providers.thinking import Thought


@pytest.mark.parametrize(
    ("model", "budget", "on", "genuine", "effort"),
    [
        ("gpt-5", None, True, True, "medium"),
        ("gpt-5", "high", True, True, "high"),
        ("gpt-6-sol", "max", True, True, "max"),
        ("gpt-5", "adaptive/low", True, True, "low"),
        ("gpt-5", 2000, True, True, "low"),
        ("gpt-5", 9000, True, True, "high"),
        ("gpt-5", -1, True, True, "medium"),
        ("gpt-5", None, False, True, "minimal"),
        ("gpt-5.1", "none", True, True, "none"),
        ("gpt-5.1", "high", False, True, "none"),
        ("o3", 0, True, True, "low"),
        ("gpt-4o", None, True, True, ""),
        ("gpt-4o", None, False, True, ""),
        ("qwen3", None, True, False, ""),
        ("qwen3", "high", True, False, "high"),
        ("qwen3", "high", False, False, ""),
        ("gpt-5", None, True, False, ""),
        ("gpt-5-chat-latest", None, True, True, ""),
    ],
)
def test_effort(model: str, budget: str | int | None, on: bool, genuine: bool, effort: str) -> None:
    spec = ModelSpec("m", "openai", model, "openai-chat", thinking_budget=budget)
    assert thinking.effort(spec, thinking=on, genuine=genuine) == effort


def enabled(tokens: int) -> Thought:
    return Thought({"type": "enabled", "budget_tokens": tokens}, on=True)


def adaptive(effort: str = "") -> Thought:
    return Thought({"type": "adaptive"}, effort, on=True)


@pytest.mark.parametrize(
    ("model", "budget", "most", "expected"),
    [
        ("claude-sonnet-4-5", None, 32000, enabled(8192)),
        ("claude-sonnet-4-20250514", None, 32000, enabled(8192)),
        ("claude-3-7-sonnet-latest", None, 32000, enabled(8192)),
        ("claude-3-5-haiku-latest", None, 8192, Thought()),
        ("claude-3-5-haiku-latest", 2000, 8192, enabled(2000)),
        ("claude-sonnet-4-5", 500, 32000, enabled(1024)),
        ("claude-sonnet-4-5", 30000, 16000, enabled(15999)),
        ("claude-sonnet-4-5", 8192, 1024, Thought()),
        ("claude-sonnet-4-5", "none", 32000, Thought()),
        ("claude-sonnet-4-5", 0, 32000, Thought()),
        ("claude-sonnet-4-5", "high", 32000, enabled(16384)),
        ("claude-sonnet-4-5", "adaptive", 32000, enabled(8192)),
        ("claude-opus-4-6", None, 32000, adaptive()),
        ("claude-opus-4-6", "high", 32000, adaptive("high")),
        ("claude-opus-4-6", "adaptive/low", 32000, adaptive("low")),
        ("claude-opus-4-6", 4096, 32000, enabled(4096)),
        ("claude-opus-4-8", 4096, 32000, adaptive("medium")),
        ("claude-sonnet-5-5", None, 32000, adaptive()),
        ("claude-sonnet-5-5", "max", 32000, adaptive("max")),
        ("claude-sonnet-5-5", "minimal", 32000, adaptive("low")),
        ("my-own-name", None, 32000, enabled(8192)),
    ],
)
def test_claude(model: str, budget: str | int | None, most: int, expected: Thought) -> None:
    spec = ModelSpec("m", "anthropic", model, "anthropic", thinking_budget=budget)
    assert thinking.claude(spec, thinking=True, max_tokens=most) == expected


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("claude-sonnet-4-5", Thought()),
        ("claude-opus-4-8", Thought()),
        ("my-own-name", Thought()),
        ("claude-opus-5", Thought({"type": "disabled"})),
        ("claude-haiku-5-5", Thought({"type": "disabled"})),
        ("claude-sonnet-5-5", Thought({"type": "between_tools"}, on=True)),
        ("claude-opus-5-5", Thought(None, "low", on=True)),
        ("claude-fable-5", Thought(None, "low", on=True)),
    ],
)
def test_claude_told_not_to_think(model: str, expected: Thought) -> None:
    spec = ModelSpec("m", "anthropic", model, "anthropic")
    assert thinking.claude(spec, thinking=False, max_tokens=32000) == expected
