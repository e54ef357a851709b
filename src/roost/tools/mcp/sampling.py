"""When a server wants an answer of a model: a person agrees first, then the agent's own model is asked."""

import logging
from collections.abc import Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from roost.core.errors import RoostError
from roost.core.messages import Image, Message, Part, Text
from roost.ports import Ask, Finished, ModelRequest, Models, Place, Provider, TextPiece, Use
from roost.tools.mcp.results import clipped
from roost.tools.mcp.talk import Over, Talks

if TYPE_CHECKING:
    from mcp import types
    from mcp.client.session import ClientRequestContext

MESSAGES = 200
TEXT = 1024 * 1024  # characters of a conversation
ANSWER = 32_000  # tokens
SHOWN = 2000  # bytes of the prompt that a person is shown

log = logging.getLogger(__name__)


class Sampling:
    """Answers for one server; `consent` is `ask` or `allow`."""

    def __init__(self, models: Models, place: Place, talks: Talks, label: str, consent: str) -> None:
        self._models = models
        self._place = place
        self._talks = talks
        self._label = label
        self._consent = consent

    async def answer(
        self, context: "ClientRequestContext", params: "types.CreateMessageRequestParams"
    ) -> "types.CreateMessageResult | types.ErrorData":
        """Ask the model, if that may be."""
        from mcp import types

        talk = self._talks.now()
        if talk is None:
            return types.ErrorData(code=types.INVALID_REQUEST, message="a model is asked only inside of a call")
        try:
            request = _request(params)
            provider = self._provider(request.messages)

            async def work(use: Use) -> Any:
                return await self._sampled(use, provider, request, params)

            return await talk.run(work)
        except Over:
            return types.ErrorData(code=types.INVALID_REQUEST, message="the call is over")
        except (RoostError, ValueError) as error:
            return types.ErrorData(code=types.INTERNAL_ERROR, message=str(error)[:500])

    def _provider(self, messages: Sequence[Message]) -> Provider:
        team = self._place.team
        agent = team.agent(self._place.agent) if team is not None else None
        if team is None or agent is None:
            raise ValueError("there is no model here")
        return self._models.provider(team, agent.model).route(messages[-1].content)

    async def _sampled(
        self, use: Use, provider: Provider, request: ModelRequest, params: "types.CreateMessageRequestParams"
    ) -> "types.CreateMessageResult | types.ErrorData":
        from mcp import types

        if self._consent != "allow":
            shown = clipped("\n\n".join(f"{m.role}: {m.content}" for m in request.messages), SHOWN)
            asked = Ask(
                f"{self._label} wants an answer of the model {provider.spec.ref} to this:\n\n{shown}",
                schema={"type": "object", "properties": {}},
                durable=False,
            )
            if (await use.ask(asked)).action != "accept":
                return types.ErrorData(code=-1, message="the user has declined")
        text, finished = "", Finished()
        async with use.spending(provider, request) as count, aclosing(provider.stream(request)) as pieces:
            async for piece in pieces:
                if isinstance(piece, TextPiece):
                    text += piece.text
                elif isinstance(piece, Finished):
                    finished = piece
            count(finished)
        return types.CreateMessageResult(
            role="assistant",
            content=types.TextContent(text=text),
            model=finished.model or provider.spec.ref,
            stop_reason="maxTokens" if finished.reason == "length" else "endTurn",
        )


def _request(params: "types.CreateMessageRequestParams") -> ModelRequest:
    if not 0 < len(params.messages) <= MESSAGES:
        raise ValueError(f"a request for an answer has 1 to {MESSAGES} messages, not {len(params.messages)}")
    system = (Message("system", params.system_prompt),) if params.system_prompt else ()
    messages = (*system, *(_message(message) for message in params.messages))
    if sum(len(message.content) for message in messages) > TEXT:
        raise ValueError("the request for an answer is too long")
    return ModelRequest(messages, max_tokens=max(1, min(params.max_tokens, ANSWER)), thinking=False)


def _message(message: "types.SamplingMessage") -> Message:
    parts: list[Part] = []
    for part in message.content_as_list:
        match part.type:
            case "text":
                parts.append(Text(part.text))
            case "image":
                parts.append(Image(f"data:{part.mime_type};base64,{part.data}"))
            case kind:
                raise ValueError(f"a message of type {kind} can't be sent to a model here")
    text = "\n".join(part.text for part in parts if isinstance(part, Text))
    plain = all(isinstance(part, Text) for part in parts)
    return Message(message.role, text, () if plain else tuple(parts))
