"""The small expressions inside `${…}`: read, and evaluated.

Names, properties, literals, `+`, `||`, `??`, `&&`, `!`, `==`, a ternary, and calls.  It is no
JavaScript: there are no loops, no assignments, and no way out.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

LONGEST: Final = 4096  # characters of one template
TOKENS: Final = 250
DEEPEST: Final = 32  # levels of parentheses, calls and choices

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>\d+(?:\.\d+)?)
      | (?P<name>[A-Za-z_$][\w$]*)
      | (?P<string>"(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' | `(?:[^`\\$]|\\.)*`)
      | (?P<sign>===|!==|==|!=|\|\||&&|\?\?|\?\.|[-+!?:.,(){}\[\]])
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0"}
_WORDS: Mapping[str, Any] = {"true": True, "false": False, "null": None, "undefined": None}


class Failed(Exception):
    """A template that can't be read, or can't be evaluated."""


class Scope(Struct, frozen=True):
    """What a template may name: values, and `call`, which is asked for functions that are none of the language's."""

    values: Mapping[str, Any]
    call: Callable[[str, Mapping[str, Any]], str] | None = None


# -- reading ------------------------------------------------------------------------------------

Expression = tuple[Any, ...]
"""`("value", x)`, `("name", n)`, `("get", object, key)`, `("call", function, arguments)`, `("list", items)`,
`("object", pairs)`, `("not", x)`, `("if", c, a, b)`, and `(operator, a, b)`."""


class _Reader:
    """Reads one expression that starts at a place of a text, and knows where it ended."""

    def __init__(self, text: str, start: int) -> None:
        self._text = text
        self._limit = start + LONGEST
        self._tokens = 0
        self._depth = 0
        self.end = start
        self._kind, self._word = "", ""
        self._next()

    def template(self) -> Expression:
        """The expression up to the closing brace; `end` is then just past it."""
        found = self._choice()
        if (self._kind, self._word) != ("sign", "}"):
            raise Failed("unexpected " + self._word)
        return found

    def _next(self) -> None:
        match = _TOKEN.match(self._text, self.end)
        self._tokens += 1
        if match is None or match.end() > self._limit or self._tokens > TOKENS:
            raise Failed("not an expression")
        self._kind = match.lastgroup or ""
        self._word = match[self._kind]
        self.end = match.end()

    def _at(self, *signs: str) -> bool:
        return self._kind == "sign" and self._word in signs

    def _take(self, *signs: str) -> str:
        """The sign that stands here, if it is one of these; it is then passed."""
        if not self._at(*signs):
            return ""
        word = self._word
        self._next()
        return word

    def _expect(self, sign: str) -> None:
        if not self._take(sign):
            raise Failed(f"expected {sign}")

    def _choice(self) -> Expression:
        self._depth += 1
        if self._depth > DEEPEST:
            raise Failed("nested too deeply")
        found = self._binary(0)
        if self._take("?"):
            yes = self._choice()
            self._expect(":")
            found = ("if", found, yes, self._choice())
        self._depth -= 1
        return found

    def _binary(self, level: int) -> Expression:
        if level == len(_LEVELS):
            return self._unary()
        found = self._binary(level + 1)
        while sign := self._take(*_LEVELS[level]):
            found = (sign, found, self._binary(level + 1))
        return found

    def _unary(self) -> Expression:
        nots = 0
        while self._take("!"):
            nots += 1
        found = self._postfix()
        return found if not nots else ("not", found) if nots % 2 else ("not", ("not", found))

    def _postfix(self) -> Expression:
        found = self._primary()
        while sign := self._take(".", "?.", "[", "("):
            match sign:
                case "[":
                    found = ("get", found, self._choice())
                    self._expect("]")
                case "(":
                    found = ("call", found, self._items(")"))
                case _:
                    found = ("get", found, ("value", self._name()))
        return found

    def _name(self) -> str:
        if self._kind != "name":
            raise Failed("expected a name")
        word = self._word
        self._next()
        return word

    def _primary(self) -> Expression:
        kind, word = self._kind, self._word
        if self._take("("):
            found = self._choice()
            self._expect(")")
            return found
        if self._take("["):
            return ("list", self._items("]"))
        if self._take("{"):
            return ("object", self._pairs())
        if kind == "sign":
            raise Failed("unexpected " + word)
        self._next()
        match kind:
            case "number":
                return ("value", float(word) if "." in word else int(word))
            case "string":
                return ("value", _unescaped(word))
        return ("value", _WORDS[word]) if word in _WORDS else ("name", word)

    def _items(self, closing: str) -> list[Expression]:
        items: list[Expression] = []
        while not self._at(closing):
            items.append(self._choice())
            if not self._take(","):
                break
        self._expect(closing)
        return items

    def _pairs(self) -> list[tuple[str, Expression]]:
        pairs: list[tuple[str, Expression]] = []
        while not self._at("}"):
            name = _unescaped(self._word) if self._kind == "string" else self._word
            if self._kind not in ("name", "string"):
                raise Failed("expected a key")
            self._next()
            self._expect(":")
            pairs.append((name, self._choice()))
            if not self._take(","):
                break
        self._expect("}")
        return pairs


_LEVELS = (("??", "||"), ("&&",), ("==", "===", "!=", "!=="), ("+",))


def _unescaped(literal: str) -> str:
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), literal[1:-1], flags=re.DOTALL)


def parse(text: str, start: int) -> tuple[Expression, int]:
    """The expression of a template whose `${` ends at `start`, and the place just past its `}`.

    Raises:
        Failed: there is no such expression.
    """
    reader = _Reader(text, start)
    return reader.template(), reader.end


# -- evaluating ---------------------------------------------------------------------------------


def evaluate(expression: Expression, scope: Scope) -> Any:
    """The value of an expression.

    Raises:
        Failed: it names what is not there, or asks for what can't be done.
    """
    match expression:
        case ("value", value):
            return value
        case ("name", name):
            if name not in scope.values:
                raise Failed(f"{name} is not defined")
            return scope.values[name]
        case ("get", inner, key):
            return _property(evaluate(inner, scope), evaluate(key, scope))
        case ("list", items):
            return [evaluate(item, scope) for item in items]
        case ("object", pairs):
            return {name: evaluate(item, scope) for name, item in pairs}
        case ("not", inner):
            return not truthy(evaluate(inner, scope))
        case ("if", condition, yes, no):
            return evaluate(yes if truthy(evaluate(condition, scope)) else no, scope)
        case ("call", function, arguments):
            return _call(function, arguments, scope)
        case (operator, left, right):
            return _operate(operator, left, right, scope)
    raise Failed("not an expression")


def _operate(operator: str, left: Expression, right: Expression, scope: Scope) -> Any:
    first = evaluate(left, scope)
    match operator:
        case "||":
            return first if truthy(first) else evaluate(right, scope)
        case "&&":
            return evaluate(right, scope) if truthy(first) else first
        case "??":
            return evaluate(right, scope) if first is None else first
        case "==" | "===":
            return first == evaluate(right, scope)
        case "!=" | "!==":
            return first != evaluate(right, scope)
    second = evaluate(right, scope)
    if isinstance(first, int | float) and isinstance(second, int | float):
        return first + second
    return as_text(first) + as_text(second)


def _property(owner: Any, key: Any) -> Any:
    if owner is None:
        raise Failed(f"nothing has no {as_text(key)}")
    if key == "length" and isinstance(owner, str | list):
        return len(owner)
    if isinstance(owner, str | list) and isinstance(key, int) and not isinstance(key, bool):
        return owner[key] if 0 <= key < len(owner) else None
    if isinstance(owner, Mapping) and isinstance(key, str):
        return owner.get(key)
    return None


def _call(function: Expression, arguments: Sequence[Expression], scope: Scope) -> Any:
    values = [evaluate(argument, scope) for argument in arguments]
    match function:
        case ("get", inner, ("value", str(method))):
            return _method(evaluate(inner, scope), method, values)
        case ("name", name) if scope.call is not None and name not in scope.values and len(values) <= 1:
            given = values[0] if values else {}
            if isinstance(given, dict):
                return scope.call(name, given)
    raise Failed("not a function")


def _method(owner: Any, method: str, values: Sequence[Any]) -> Any:
    match owner, method, values:
        case (list(), "join", []):
            return ",".join(map(as_text, owner))
        case (list(), "join", [str(between)]):
            return between.join(map(as_text, owner))
        case (list() | str(), "slice", [int(start)]):
            return owner[start:]
        case (list() | str(), "slice", [int(start), int(end)]):
            return owner[start:end]
        case (list() | str(), "includes", [value]):
            return as_text(value) in owner
        case (str(), "trim", []):
            return owner.strip()
        case (str(), "toUpperCase", []):
            return owner.upper()
        case (str(), "toLowerCase", []):
            return owner.lower()
    raise Failed(f"{method} is not a function")


def truthy(value: Any) -> bool:
    """Whether a value counts as true: empty texts, 0 and nothing do not."""
    return isinstance(value, list | Mapping) or bool(value)


def as_text(value: Any) -> str:
    """A value as it stands in a text; what is undefined leaves nothing."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case float() if value.is_integer():
            return str(int(value))
        case list():
            return ",".join(map(as_text, value))
        case dict():
            raise Failed("an object is no text")
    return str(value)
