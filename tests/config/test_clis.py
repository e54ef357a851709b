"""What `agents.toml` says of usage limits."""

from pathlib import Path

import pytest

from roost.config.clis import Clis, load
from roost.core.errors import BadValue


def test_a_home_without_the_file_says_nothing(tmp_path: Path) -> None:
    assert load(tmp_path) == Clis()


def test_limits_and_patterns_are_read(tmp_path: Path) -> None:
    (tmp_path / "agents.toml").write_text(
        """
        [defaults]
        provider = "codex"
        [usage_limits]
        resume_message = "go on"
        default_fallback_secs = 60
        [usage_limits.providers.gemini]
        enabled = false
        [usage_limits.providers.claude]
        resume_message = "carry on"
        fallback_secs = 5
        extra_patterns = ["out of juice"]
        """
    )
    told = load(tmp_path)
    assert (told.limits.fallback, told.limits.message("codex"), told.limits.message("claude")) == (
        60.0,
        "go on",
        "carry on",
    )
    assert told.limits.disabled == ("gemini",) and told.limits.fallbacks == {"claude": 5.0}
    assert told.patterns["claude"] == ("out of juice",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[usage_limits\n", "agents.toml"),
        ("[usage_limits]\nmax_attempts = 'many'\n", "max_attempts"),
        ("[usage_limits]\njitter_secs = -1\n", "negative"),
        ("[usage_limits.providers.claude]\nextra_patterns = ['(']\n", "no regular expression"),
        ("[usage_limits]\nmax_wait = 3\n", "max_wait"),
    ],
)
def test_a_file_that_makes_no_sense_is_an_error(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "agents.toml").write_text(text)
    with pytest.raises(BadValue, match=said):
        load(tmp_path)
