"""What an agent elsewhere answers, put together from the pieces in which it comes."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

OPEN: Final = frozenset({"submitted", "working", "unknown", ""})
ASKING: Final = frozenset({"input-required", "auth-required"})
MOST = 4 * 1024 * 1024  # characters that are kept


class Answer:
    """Feed it the results of requests and of a stream; `state` is "" for a plain message, else that of the task."""

    def __init__(self) -> None:
        self.task = ""
        self.context = ""
        self.state = ""
        self.begun = False
        self._said = ""  # by a message, or with the last state
        self._artifacts: dict[str, list[str]] = {}
        self._size = 0

    @property
    def over(self) -> bool:
        """Whether nothing more will come by itself."""
        return self.begun and (not self.task or self.state not in OPEN)

    def feed(self, result: Any) -> str:
        """Take a piece; what is new in it as text, for whoever looks on."""
        if not isinstance(result, Mapping):
            return ""
        self.begun = True
        self.context = _text(result.get("contextId")) or self.context
        match result.get("kind") or _kind(result):
            case "task":
                return self._whole(result)
            case "status-update":
                self.task = _text(result.get("taskId")) or self.task
                return self._status(result.get("status"))
            case "artifact-update":
                self.task = _text(result.get("taskId")) or self.task
                return self._artifact(result.get("artifact"), append=result.get("append") is True)
            case _:
                self._said = words(result.get("parts"))
                return self._said

    def _whole(self, task: Mapping[str, Any]) -> str:
        self.task = _text(task.get("id")) or self.task
        if isinstance(listed := task.get("artifacts"), list) and listed:
            self._artifacts, self._size = {}, 0
            for artifact in listed:
                self._artifact(artifact, append=False)
        said = self._status(task.get("status"))
        if not said and not self._artifacts and isinstance(history := task.get("history"), list):
            theirs = [one for one in history if isinstance(one, Mapping) and one.get("role") == "agent"]
            self._said = words(theirs[-1].get("parts")) if theirs else ""
        return said

    def _status(self, status: Any) -> str:
        if not isinstance(status, Mapping):
            return ""
        self.state = _text(status.get("state")).lower().removeprefix("task_state_").replace("_", "-")
        message = status.get("message")
        said = words(message.get("parts")) if isinstance(message, Mapping) else ""
        self._said = said or self._said
        return said

    def _artifact(self, artifact: Any, *, append: bool) -> str:
        if not isinstance(artifact, Mapping):
            return ""
        name, text = _text(artifact.get("artifactId")), words(artifact.get("parts"))
        text = text[: max(MOST - self._size, 0)]
        self._size += len(text)
        if append:
            self._artifacts.setdefault(name, []).append(text)
        else:
            self._artifacts[name] = [text]
        return text

    def text(self) -> str:
        """All that it said: what it made, else its last words."""
        made = "\n".join(filter(None, ("".join(parts) for parts in self._artifacts.values())))
        if self.state in ASKING or not made:
            return self._said or made
        return made


def words(parts: Any) -> str:
    """The text of parts, one after the other; data is JSON, and of a file only its name is told."""
    return "".join(_words(parts))


def _words(parts: Any) -> Iterator[str]:
    for part in parts if isinstance(parts, list) else ():
        if not isinstance(part, Mapping):
            continue
        file = part.get("file")
        if isinstance(part.get("text"), str):
            yield part["text"]
        elif "data" in part:
            yield json.dumps(part["data"], ensure_ascii=False)
        elif isinstance(file, Mapping):
            kind = file.get("mimeType") or "unknown type"
            yield f"[file {file.get('name') or file.get('uri') or 'without a name'}, {kind}]"


def _kind(result: Mapping[str, Any]) -> str:
    """What a piece without a kind is."""
    if "artifact" in result:
        return "artifact-update"
    if "status" in result:
        return "task" if "id" in result else "status-update"
    return "message"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
