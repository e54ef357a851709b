"""A model that plays a scenario: for demos and tests, and it needs no key."""

import hashlib
from collections.abc import AsyncGenerator, Iterator
from itertools import chain, zip_longest
from pathlib import Path

import anyio
import anyio.lowlevel
import msgspec

from roost.core.agents import ModelSpec
from roost.core.errors import BadModel, ModelFailed
from roost.core.messages import Message
from roost.core.usage import Price, Usage
from roost.ports import CallPiece, Finished, ModelRequest, Piece, Provider, ReasoningPiece, TextPiece
from roost.providers import failures, scenario
from roost.providers.scenario import Call, Failure, Place, Scenario, Step

SHIPPED = Path(__file__).parent / "scenarios"
"""Scenarios that come with the package, to be named without a path: `scripted/demo`."""


class Scripted:
    """A provider that plays a scenario.

    It is `provider_opts.scenario`, or a file named by the model: `scripted/path/to/file.yaml`, from `folder` on,
    or the name of one that is shipped.  A file is read anew when it has changed.
    """

    def __init__(self, spec: ModelSpec, *, folder: Path) -> None:
        self._spec = spec
        self._path = None if "scenario" in spec.options else _path(spec.model, folder)
        self._stamp: tuple[int, int] | None = None
        self._failed: dict[str, int] = {}
        self._scenario = self._load()

    @property
    def spec(self) -> ModelSpec:
        """What it was made from."""
        return self._spec

    @property
    def takes_tools(self) -> bool:
        """It does."""
        return True

    @property
    def titles(self) -> bool:
        """Whether the scenario has one."""
        return bool(self._load().title)

    @property
    def context_limit(self) -> int:
        """The window that the file or the scenario claims."""
        return self._spec.context_limit or self._load().context_limit

    @property
    def price(self) -> Price | None:
        """What the file says; else it is free."""
        return self._spec.price or Price(0.0, 0.0, 0.0, 0.0)

    @property
    def output_limit(self) -> int:
        """Nobody knows."""
        return 0

    def route(self, text: str) -> Provider:
        """Itself."""
        return self

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Piece, None]:
        """Play the answer that is due."""
        script = self._load()
        said = 0
        last = Finished("stop", None, self._spec.model)
        steps, place = self._due(script, request)
        calls = 0
        for number, step in enumerate(steps):
            await self._pause(step, place, number)
            if step.usage is not None:
                last = msgspec.structs.replace(last, usage=msgspec.convert(step.usage, Usage, from_attributes=True))
            if step.finish is not None:
                last = msgspec.structs.replace(last, reason=step.finish)
            for piece in _pieces(step, script, place, calls, request):
                await anyio.sleep(script.delay if step.delay is None else step.delay)
                said += len(piece.arguments if isinstance(piece, CallPiece) else piece.text)
                yield piece
            calls += len(step.calls or ()) + (step.call is not None)
        await anyio.lowlevel.checkpoint()
        if calls and all(step.finish is None for step in steps):
            last = msgspec.structs.replace(last, reason="tool_calls")
        yield last if last.usage else msgspec.structs.replace(last, usage=_estimate(request, said))

    def _due(self, script: Scenario, request: ModelRequest) -> tuple[list[Step], Place]:
        place = scenario.find(script, request.messages)
        if request.max_tokens is not None and request.max_tokens <= 20 and not request.tools:
            return [Step(text=script.title, chunk=max(len(script.title), 1))] if script.title else [], place
        steps = scenario.steps(place)
        if steps is None:
            raise ModelFailed(
                f"the scenario {self._spec.model or self._spec.name} has no answer no. {place.round + 1} to"
                f" {place.user[:80]!r}",
                kind="client",
            )
        return steps, place

    async def _pause(self, step: Step, place: Place, number: int) -> None:
        """Wait, or fail, as the step says."""
        await anyio.lowlevel.checkpoint()
        if step.wait is not None:
            await anyio.sleep(step.wait)
        if step.hang is True:
            await anyio.sleep_forever()
        if step.hang:
            await anyio.sleep(step.hang)
            raise failures.cut(f"timeout: the provider sent nothing for {step.hang:g} s")
        if step.cut:
            raise failures.cut()
        if step.fail is not None and self._fails(step.fail, f"{place.group}.{place.round}.{number}.{place.user}"):
            raise _failure(step.fail)

    def _fails(self, fail: Failure, key: str) -> bool:
        if fail.times is None:
            return True
        self._failed[key] = self._failed.get(key, 0) + 1
        return self._failed[key] <= fail.times

    def _load(self) -> Scenario:
        if self._path is None:
            if self._stamp is None:
                self._stamp = (0, 0)
                self._scenario = scenario.parse(self._spec.options["scenario"], f"of the model {self._spec.name}")
            return self._scenario
        try:
            status = self._path.stat()
        except OSError as error:
            raise BadModel(f"the scenario {self._path} can't be read: {error.strerror}") from error
        if self._stamp != (stamp := (status.st_mtime_ns, status.st_size)):
            self._stamp, self._scenario = stamp, scenario.read(self._path)
        return self._scenario


def _path(name: str, folder: Path) -> Path:
    if not name:
        raise BadModel("a scripted model names its scenario: scripted/path/to/file.yaml")
    shipped = SHIPPED / f"{name}.yaml"
    return shipped if "/" not in name and "." not in name and shipped.is_file() else folder / name


def _failure(fail: Failure) -> ModelFailed:
    message = fail.message or (f"scripted failure {fail.status}" if fail.status else "scripted failure")
    kind = fail.kind or failures.kind(fail.status or 500, message)
    return ModelFailed(message, kind=kind, status=fail.status, retry_after=fail.retry_after)


def _pieces(
    step: Step, script: Scenario, place: Place, calls: int, request: ModelRequest
) -> Iterator[TextPiece | ReasoningPiece | CallPiece]:
    size = step.chunk or script.chunk
    if step.reasoning is not None:
        yield from map(ReasoningPiece, _chunks(scenario.filled(step.reasoning, place), size))
    if step.text is not None:
        yield from map(TextPiece, _chunks(scenario.filled(step.text, place), size))
    wanted = [*([step.call] if step.call else ()), *(step.calls or ())]
    drafts = [list(_draft(call, calls + i, place, request, size)) for i, call in enumerate(wanted)]
    yield from (piece for piece in chain.from_iterable(zip_longest(*drafts)) if piece is not None)


def _draft(call: Call, index: int, place: Place, request: ModelRequest, size: int) -> Iterator[CallPiece]:
    given = scenario.filled(call.arguments, place)
    text = given if isinstance(given, str) else msgspec.json.encode(given).decode()
    yield CallPiece(index, call.id or _id(index, request.messages), call.name)
    yield from (CallPiece(index, arguments=piece) for piece in _chunks(text, call.chunk or size))


def _id(index: int, messages: tuple[Message, ...]) -> str:
    """An id that is the same for the same conversation, and no other."""
    talk = [(m.role, m.content, [call.id for call in m.calls]) for m in messages if m.role != "system"]
    return "call_" + hashlib.sha256(msgspec.json.encode((index, talk))).hexdigest()[:16]


def _chunks(text: str, size: int) -> Iterator[str]:
    return (text[i : i + size] for i in range(0, len(text), max(size, 1)))


def _estimate(request: ModelRequest, said: int) -> Usage:
    """Four characters are a token."""
    read = sum(len(message.content) for message in request.messages)
    return Usage(input=max(read // 4, 1), output=max(said // 4, 1))
