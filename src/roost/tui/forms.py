"""A form from a JSON schema: its fields, and what a person gave as the values that they stand for."""

import json
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Literal
from urllib.parse import urlsplit

Kind = Literal["text", "number", "integer", "flag", "choice", "choices", "list", "json"]

FREE: Final = "response"
"""The name of the one field of a question that has no schema."""

MOST: Final = 100  # fields of a form
LONGEST: Final = 100_000  # characters of one value

_PLAIN: Mapping[str, Kind] = {"string": "text", "number": "number", "integer": "integer", "boolean": "flag"}
_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
STEPS: Final = 10**7  # of a search for a pattern
_NOTHING: Final = object()


class Wrong(ValueError):
    """What was given is no value of its field; it says why, to whoever gave it."""


@dataclass(frozen=True, slots=True)
class Option:
    """One of the values to choose from, and how it is called."""

    value: Any
    label: str


@dataclass(frozen=True, slots=True)
class Field:
    """One field.  `default` is None where there is none; `schema` is the part of the whole that is about it."""

    name: str
    title: str
    kind: Kind
    schema: Mapping[str, Any]
    required: bool = False
    description: str = ""
    default: Any = None
    options: tuple[Option, ...] = ()

    @property
    def secret(self) -> bool:
        """Whether nobody should read it over a shoulder."""
        return bool(self.schema.get("writeOnly")) or self.schema.get("format") == "password"

    @property
    def hint(self) -> str:
        """What may stand here, in a few words."""
        return ", ".join(_hints(self))

    @property
    def shown(self) -> str:
        """The default, as it is typed."""
        if self.default is None:
            return ""
        if self.kind == "list" and isinstance(self.default, list):
            return ", ".join(str(item) for item in self.default)
        return self.default if isinstance(self.default, str) else json.dumps(self.default, ensure_ascii=False)


def fields(schema: Mapping[str, Any] | None) -> tuple[Field, ...]:
    """The fields of an object's schema, in its order; without a schema a single text that may be left out."""
    if not schema:
        return (Field(FREE, "Your answer", "text", {}),)
    known = schema.get("properties")
    if not isinstance(known, Mapping):
        return ()
    needed = schema.get("required")
    wanted = set(needed) if isinstance(needed, list) else set()
    found = [_field(str(name), part, name in wanted) for name, part in known.items() if isinstance(part, Mapping)]
    return tuple(found[:MOST])


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


# -- schemas ------------------------------------------------------------------------------------


def _field(name: str, part: Mapping[str, Any], required: bool) -> Field:
    kind, options = _kind(part)
    return Field(
        name,
        _text(part.get("title")) or name,
        kind,
        part,
        required=required,
        description=_text(part.get("description")),
        default=part.get("default"),
        options=options,
    )


def _kind(part: Mapping[str, Any]) -> tuple[Kind, tuple[Option, ...]]:
    if options := _options(part):
        return "choice", options
    items = part.get("items")
    if _type(part) == "array":
        if isinstance(items, Mapping) and (options := _options(items)):
            return "choices", options
        plain = isinstance(items, Mapping) and _type(items) in _PLAIN
        return ("list" if plain else "json"), ()
    return _PLAIN.get(_type(part), "json"), ()


def _type(part: Mapping[str, Any]) -> str:
    """Its type; of several the first that is a value."""
    named = part.get("type", "string" if not {"anyOf", "oneOf", "allOf", "$ref"} & set(part) else "")
    names = named if isinstance(named, list) else [named]
    return next((str(name) for name in names if name != "null"), "")


def _options(part: Mapping[str, Any]) -> tuple[Option, ...]:
    if isinstance(values := part.get("enum"), list):
        names = part.get("enumNames")
        labels = names if isinstance(names, list) and len(names) == len(values) else values
        return tuple(Option(value, _label(label)) for value, label in zip(values, labels, strict=True))
    for key in ("oneOf", "anyOf"):
        branches = part.get(key)
        if isinstance(branches, list) and branches and all(isinstance(b, Mapping) and "const" in b for b in branches):
            return tuple(Option(b["const"], _text(b.get("title")) or _label(b["const"])) for b in branches)
    return (Option(part["const"], _label(part["const"])),) if "const" in part else ()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _label(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _hints(field: Field) -> list[str]:
    part, said = field.schema, []
    if field.kind in ("number", "integer"):
        said.append("a whole number" if field.kind == "integer" else "a number")
    elif field.kind == "list":
        said.append("with commas between")
    elif field.kind == "json":
        said.append("as JSON")
    elif field.kind == "choices":
        said.append("any of these")
    named = {
        "email": "an e-mail address",
        "uri": "an address",
        "date": "YYYY-MM-DD",
        "date-time": "YYYY-MM-DDThh:mm:ssZ",
    }
    if field.kind == "text" and part.get("format") in named:
        said.append(named[part["format"]])
    low, high = _bounds(field)
    unit = {"text": " characters", "choices": " of them", "list": " of them"}.get(field.kind, "")
    if low is not None and high is not None:
        said.append(f"{low} to {high}{unit}")
    elif low is not None:
        said.append(f"at least {low}{unit}")
    elif high is not None:
        said.append(f"at most {high}{unit}")
    return said


def _bounds(field: Field) -> tuple[Any, Any]:
    low, high = {
        "text": ("minLength", "maxLength"),
        "choices": ("minItems", "maxItems"),
        "list": ("minItems", "maxItems"),
    }.get(field.kind, ("minimum", "maximum"))
    return _number(field.schema.get(low)), _number(field.schema.get(high))


def _number(value: Any) -> int | float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


# -- values -------------------------------------------------------------------------------------


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
    low, high = _bounds(field)
    if low is not None and len(values) < low:
        raise Wrong(f"Choose at least {low}." if field.kind == "choices" else f"Give at least {low}.")
    if high is not None and len(values) > high:
        raise Wrong(f"Choose at most {high}." if field.kind == "choices" else f"Give at most {high}.")
    return values


def _words(typed: str) -> list[str]:
    return [word.strip() for word in re.split(r"[,\n]", typed) if word.strip()]


def _item(field: Field, word: str) -> Any:
    items: Mapping[str, Any] = field.schema["items"]
    match _type(items):
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
        bound = _number(part.get(key))
        if bound is not None and not holds(value, bound):
            raise Wrong(says.format(bound))
    step = _number(part.get("multipleOf"))
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
    low, high = _bounds(field)
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
