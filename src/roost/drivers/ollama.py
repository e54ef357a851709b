"""Ollama: `ollama run` with a model and a size, plain text in and out."""

import re
from collections.abc import Mapping, Sequence

from roost.core import events as e
from roost.core.capabilities import Capability
from roost.core.errors import BadModel
from roost.drivers import models
from roost.drivers.addresses import address
from roost.drivers.once import Once, prompt
from roost.drivers.opening import WISHES, unheard
from roost.ports import Errand, Exit, Launch, Step

SIZES = ("0.8b", "2b", "4b", "9b", "27b", "35b", "122b")

_HERE = "127.0.0.1:11434"
_NAME = re.compile(r"[\w.][\w./-]*(?::[\w.-]+)?")
_SIZE = re.compile(r"\w[\w.-]*")
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f]")


class Ollama:
    """Runs `ollama run`.  A conversation can't be gone on with: every message is a new one."""

    program = "ollama"
    hint = "see https://ollama.com/download"
    keeps: Sequence[str] = (".ollama",)
    needs: Sequence[str] = ("OLLAMA_HOST", "OLLAMA_MODELS", "OLLAMA_KEEP_ALIVE", "OLLAMA_NUM_CTX")

    def __init__(self, *, open_models: bool = False, patterns: Sequence[str] = ()) -> None:
        self._capability = models.opened(models.OLLAMA, open_models)

    @property
    def capability(self) -> Capability:
        """What it can do."""
        return self._capability

    def endpoints(self, env: Mapping[str, str]) -> Sequence[str]:
        """Its server, on this machine unless OLLAMA_HOST says otherwise."""
        given = env.get("OLLAMA_HOST", "").strip()
        if not given:
            return (_HERE,)
        bare = given if "://" in given else f"http://{given}"
        found = address(bare if re.search(r":\d+/?$", given) or "://" in given else f"{bare}:11434")
        return (found.replace("0.0.0.0:", "127.0.0.1:"),) if found else (_HERE,)

    def model(self, name: str, size: str = "") -> str:
        """`MODEL:SIZE`.  An alias is a size of the default model; another model without a size is taken as it is.

        Raises:
            BadModel: it is no name of a model, or no size.
        """
        sizes = self._capability.size_mappings
        if alias := models.alias(name):
            name, size = "", size or sizes[alias]
        size = sizes.get(models.alias(size), size).strip()
        if size and not _SIZE.fullmatch(size):
            raise BadModel(f"{size!r} is no size of a model; known ones: {', '.join(SIZES)}")
        known = name.strip() or self._capability.default_model
        if not _NAME.fullmatch(known):
            raise BadModel(f"{name!r} is no name of a model; it is like {self._capability.default_model}:9b")
        if ":" in known or (not size and known != self._capability.default_model):
            return known
        return f"{known}:{size or sizes['medium']}"

    def launch(self, errand: Errand) -> Launch:
        """One prompt, by stdin."""
        model = errand.model or self.model("", errand.size)
        words = ["--format", "json"] if errand.json_schema is not None else []
        argv = (errand.program, "run", *words, "--nowordwrap", "--hidethinking", model)
        return Launch(argv=argv, cwd=errand.working_dir, env=errand.env, inputs=(prompt(errand),))

    def open(self, errand: Errand) -> "Plain":
        """A dialog with it."""
        return Plain(errand, "ollama")


class Plain(Once):
    """A run that prints text: all of it is the answer."""

    def feed(self, line: bytes) -> Step:
        """A line of the answer."""
        facts = [] if self._record.answering else unheard(self._errand, "ollama", *WISHES)
        return Step((*facts, *self._record.text(_COLOURS.sub("", line.decode("utf-8", "replace")) + "\n")))

    def end(self, exit: Exit) -> Step:
        """The answer is whole where it ended well."""
        if exit.code != 0 or exit.killed or exit.flooded or not self._record.answering:
            return super().end(exit)
        facts = self._record.message()
        return Step((*facts, *self._record.round(success=True, reason="end_turn")))

    def _facts(self, event: Mapping[str, object]) -> list[e.Fact]:
        return []
