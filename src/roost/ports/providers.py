"""Models behind LLM APIs: what is asked of them, what they answer, and which there are."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any, Protocol

from msgspec import Struct

from roost.core.agents import ModelSpec, Schema, Team
from roost.core.messages import Definition, Message
from roost.core.usage import Price, Usage


class TextPiece(Struct, frozen=True):
    """A delta of text."""

    text: str


class ReasoningPiece(Struct, frozen=True):
    """A delta of reasoning."""

    text: str


class CallPiece(Struct, frozen=True):
    """A delta of a tool call; `id` and `name` come with a call's first piece, `index` tells calls apart."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


class Finished(Struct, frozen=True):
    """The last piece: why it stopped, what it used, and what the provider wants back next time."""

    reason: str = "stop"  # stop, length, tool_calls, content_filter, refusal
    usage: Usage | None = None
    model: str = ""  # as the provider names it
    thinking_signature: str = ""
    thought_signature: str = ""
    replay: tuple[Any, ...] = ()


Piece = TextPiece | ReasoningPiece | CallPiece | Finished


class ModelRequest(Struct, frozen=True, omit_defaults=True):
    """One request: system messages first, then the conversation.

    `cache_marks` are indexes of system messages after which a provider may end a cached prefix.
    """

    messages: tuple[Message, ...]
    tools: tuple[Definition, ...] = ()
    max_tokens: int | None = None
    thinking: bool = True
    cache_marks: tuple[int, ...] = ()
    schema: Schema | None = None  # the form of the answer, where the provider is to see to it


class Provider(Protocol):
    """A model behind an LLM API."""

    @property
    def spec(self) -> ModelSpec:
        """What it was made from."""
        ...

    @property
    def takes_tools(self) -> bool:
        """Whether it can use tools at all."""
        ...

    @property
    def titles(self) -> bool:
        """Whether it is worth asking for a title."""
        ...

    @property
    def context_limit(self) -> int:
        """Tokens of its window; 0 where nobody knows."""
        ...

    @property
    def output_limit(self) -> int:
        """Tokens that one answer may have at most; 0 where nobody knows."""
        ...

    @property
    def price(self) -> Price | None:
        """What it costs, where that is known."""
        ...

    def route(self, text: str) -> "Provider":
        """The model for one request: another one where rules or chance choose, by the newest words of a person."""
        ...

    def stream(self, request: ModelRequest) -> AsyncGenerator[Piece, None]:
        """Ask, and yield what comes; the last piece is `Finished`.

        Close it (`contextlib.aclosing`) to drop the request.

        Raises:
            ModelFailed: with the kind of failure; also where the stream ends before `Finished`.
        """
        ...


class ModelInfo(Struct, frozen=True, omit_defaults=True):
    """A model that a session can switch to."""

    name: str
    ref: str
    provider: str = ""
    model: str = ""
    catalog: bool = False
    family: str = ""
    input_cost: float | None = None  # US dollars per million tokens, as are the other three
    output_cost: float | None = None
    cache_read_cost: float | None = None
    cache_write_cost: float | None = None
    context_limit: int = 0
    output_limit: int = 0
    input_modalities: tuple[str, ...] = ()
    output_modalities: tuple[str, ...] = ()


class Embedder(Protocol):
    """A model that turns texts into vectors."""

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """A vector for each text.

        Raises:
            ModelFailed
        """
        ...


class Models(Protocol):
    """Model references to providers."""

    def provider(self, team: Team, ref: str) -> Provider:
        """The provider for a name of the team's models, an inline `provider/model`, `auto`, or a comma list.

        Raises:
            BadModel: the reference leads nowhere, or its key is missing; the message says which variable.
        """
        ...

    def embedder(self, team: Team, ref: str) -> Embedder:
        """The embedding model of a reference; `auto` is the first whose key is there.

        Raises:
            BadModel: the reference leads nowhere, its key is missing, or its provider has no embeddings.
        """
        ...

    def missing(self, team: Team, agents: Sequence[str]) -> Sequence[str]:
        """The environment variables that the models of these agents need and that are not set, sorted."""
        ...

    def listing(self, team: Team) -> Sequence[ModelInfo]:
        """The team's models first, then those of the catalogue whose provider has a key."""
        ...
