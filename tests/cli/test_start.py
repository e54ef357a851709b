"""A command that asks a server starts fast: it loads what it needs, and no more."""

from cli.test_help import HEAVY, modules_after
from cli.there import There
from fakes.api import SID

NOT_FOR_A_PIPE = ("rich", "websockets", "subprocess", "tomllib", "roost.compose")


def test_a_question_and_its_answer_load_little(there: There) -> None:
    for words in (("status", SID), ("spawn", "hi"), ("session", "list"), ("wait", SID)):
        loaded = modules_after(*words)
        assert loaded.isdisjoint({*HEAVY, *NOT_FOR_A_PIPE}), words
        assert len([name for name in loaded if name.startswith("roost")]) < 60, words  # 45 at most
        assert len(loaded) < 320, words  # 216 at most, and each release of Python has others; bench/ has the seconds
