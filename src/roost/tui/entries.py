"""What was typed into a form, as its schema wants it, or what is wrong with it."""

import json
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from roost.tui.forms import Field, bounds, number, plain_type

LONGEST: Final = 100_000  # characters of one value
STEPS: Final = 10**7  # of a search for a pattern

_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
_NOTHING: Final = object()


class Wrong(ValueError):
    """What was given is no value of its field; it says why, to whoever gave it."""


def read(field: Field, given: Any) -> Any:
    """The value of what was given: text, a bool for a flag, the number of the option or a list of such; None for none.

    Raises:
        Wrong: it is none.
    """
    value = _value(field, given)
    if value is _NOTHING:
        if field.required:
            raise Wrong("This is needed.")
        return None
    return value


def content(found: Sequence[Field], given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The answer, and what is wrong with it by field."""
    values: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for field in found:
        try:
            value = read(field, given.get(field.name))
        except Wrong as error:
            wrong[field.name] = str(error)
            continue
        if value is not None:
            values[field.name] = value
    return values, wrong


def _value(field: Field, given: Any) -> Any:
    match field.kind:
        case "flag":
            return _NOTHING if given is None else bool(given)
        case "choice":
            return _NOTHING if given is None else field.options[given].value
        case "choices":
            return _chosen(field, given or ())
    typed = given if isinstance(given, str) else ""
    if len(typed) > LONGEST:
        raise Wrong(f"That is too long: at most {LONGEST} characters.")
    if not typed.strip():
        return _NOTHING
    match field.kind:
        case "number" | "integer":
            return _amount(field.schema, typed.strip(), whole=field.kind == "integer")
        case "list":
            return _counted(field, [_item(field, word) for word in _words(typed)])
        case "json":
            return _json(typed)
    return _worded(field, typed)


def _chosen(field: Field, given: Sequence[int]) -> Any:
    if not given:
        return [] if field.required and not field.schema.get("minItems") else _NOTHING
    return _counted(field, [field.options[at].value for at in sorted(given)])


def _counted(field: Field, values: list[Any]) -> list[Any]:
    low, high = bounds(field)
    if low is not None and len(values) < low:
        raise Wrong(f"Choose at least {low}." if field.kind == "choices" else f"Give at least {low}.")
    if high is not None and len(values) > high:
        raise Wrong(f"Choose at most {high}." if field.kind == "choices" else f"Give at most {high}.")
    return values


def _words(typed: str) -> list[str]:
    return [word.strip() for word in re.split(r"[,\n]", typed) if word.strip()]


def _item(field: Field, word: str) -> Any:
    items: Mapping[str, Any] = field.schema["items"]
    match plain_type(items):
        case "number" | "integer" as kind:
            return _amount(items, word, whole=kind == "integer")
        case "boolean":
            if word.lower() not in ("true", "false", "yes", "no"):
                raise Wrong(f"{word} is neither yes nor no.")
            return word.lower() in ("true", "yes")
    return word


def _json(typed: str) -> Any:
    try:
        return json.loads(typed)
    except (ValueError, RecursionError) as error:
        raise Wrong(f"That is no JSON: {error}.") from None


def _amount(part: Mapping[str, Any], typed: str, *, whole: bool) -> int | float:
    try:
        value: int | float = int(typed) if whole else _finite(float(typed))
    except ValueError:
        raise Wrong("A whole number is needed." if whole else "A number is needed.") from None
    if not whole and isinstance(value, float) and value.is_integer() and re.fullmatch(r"[+-]?\d{1,15}", typed):
        value = int(value)
    for key, (holds, says) in _RANGE.items():
        bound = number(part.get(key))
        if bound is not None and not holds(value, bound):
            raise Wrong(says.format(bound))
    step = number(part.get("multipleOf"))
    if step and not _divides(step, value):
        raise Wrong(f"It must be a multiple of {step}.")
    return value


_RANGE: Mapping[str, tuple[Callable[[float, float], bool], str]] = {
    "minimum": (operator.ge, "It must be {} or more."),
    "maximum": (operator.le, "It must be {} or less."),
    "exclusiveMinimum": (operator.gt, "It must be more than {}."),
    "exclusiveMaximum": (operator.lt, "It must be less than {}."),
}


def _divides(step: float, value: float) -> bool:
    try:
        return abs(value / step - round(value / step)) <= 1e-9
    except OverflowError:  # more than anybody counts
        return True


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError
    return value


def _worded(field: Field, typed: str) -> str:
    low, high = bounds(field)
    if low is not None and len(typed) < low:
        raise Wrong(f"At least {low} characters are needed.")
    if high is not None and len(typed) > high:
        raise Wrong(f"At most {high} characters fit.")
    if (wrong := _malformed(field.schema.get("format"), typed.strip())) is not None:
        raise Wrong(wrong)
    pattern = field.schema.get("pattern")
    if isinstance(pattern, str) and not _fits(pattern, typed):
        raise Wrong(f"It must look like {pattern}")
    return typed


def _malformed(form: Any, typed: str) -> str | None:
    match form:
        case "email" if not _EMAIL.fullmatch(typed):
            return "That is no e-mail address."
        case "uri" | "url" if not _address(typed):
            return "That is no address: it begins like https://"
        case "date" if not _moment(date, typed):
            return "That is no date: write YYYY-MM-DD."
        case "date-time" if not (_moment(datetime, typed) and "T" in typed.upper()):
            return "That is no date and time: write YYYY-MM-DDThh:mm:ssZ."
    return None


def _address(typed: str) -> bool:
    try:
        return bool(urlsplit(typed).scheme) and " " not in typed
    except ValueError:
        return False


def _moment(kind: type[date], typed: str) -> bool:
    try:
        kind.fromisoformat(typed)
    except ValueError:
        return False
    return True


def _fits(pattern: str, typed: str) -> bool:
    """Whether it has the pattern in it; one that is none of ours, or a costly one, is the server's to look at."""
    if not _is_tame(pattern, typed):
        return True
    try:
        return re.search(pattern, typed) is not None
    except (re.error, OverflowError, RecursionError):
        return True


def _is_tame(pattern: str, typed: str) -> bool:
    """Whether a search for the pattern ends soon, however badly it goes.

    Each repetition that is open multiplies its steps by the length of the text, each choice by two, and a group that
    is repeated by more than anybody can say.
    """
    if len(pattern) > 300 or len(typed) > 300 or re.search(r"\(\?[a-zA-OQ-Z#]", pattern):
        return False
    plain = re.sub(r"\[[^\]]*\]", "x", re.sub(r"\\.", "x", pattern, flags=re.DOTALL))
    plain = re.sub(r"(?<!\))\{\d+\}", "", plain)
    repetitions, choices = len(re.findall(r"[*+{]", plain)), len(re.findall(r"[?|]", plain))
    return not re.search(r"\)[*+{]", plain) and (len(typed) + 1) ** (repetitions + 1) * 2**choices < STEPS
