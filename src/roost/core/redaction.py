"""Secrets taken out of what people, models and logs see."""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from roost.core.utf8 import mended

REPLACEMENT = "[REDACTED]"
STARS = "***"

SHORTEST = 6  # characters of a value that is looked for: shorter ones are words
REMEMBERED = 20_000  # texts that need not be looked at again
DEEPEST = 100  # levels of JSON data
PEM = 8_192  # characters of a private key

Span = tuple[int, int]


class Redactor:
    """Takes secrets out of texts: these very ones, and what looks like one.  What it has done, it does not do again."""

    def __init__(self, secrets: Collection[str] = ()) -> None:
        forms = {form for secret in secrets if len(secret) >= SHORTEST for form in _spellings(secret)}
        self._secrets = sorted(forms, key=len, reverse=True)
        self._clean: set[tuple[int, int]] = set()  # texts without secrets, which are met again in each prompt

    def text(self, text: str) -> str:
        """The text without its secrets; JSON stays JSON."""
        seen = (hash(text), len(text))
        if seen in self._clean:
            return text
        clean = text
        for secret in self._secrets:
            if secret in clean:
                clean = clean.replace(secret, REPLACEMENT)
        if spans := sorted({*_tokens(clean), *_keys(clean), *_credentials(clean), *_assigned(clean)}):
            clean = _without(clean, spans)
        elif clean is text:
            self._remember(seen)
        return clean

    def data(self, data: Any) -> Any:
        """JSON data without the secrets in it; what lies too deep to be looked at is taken out, too."""
        return self._data(data, 0)

    def arguments(self, arguments: str) -> str:
        """The arguments of a call, a JSON text, as they may be shown: the same text where there are no secrets."""
        try:
            data = json.loads(arguments or "{}")
        except (ValueError, RecursionError):
            return self.text(arguments)
        clean = self.data(data)
        return arguments if clean == data else mended(json.dumps(clean, ensure_ascii=False))

    def _remember(self, seen: tuple[int, int]) -> None:
        if len(self._clean) >= REMEMBERED:
            self._clean.clear()
        self._clean.add(seen)

    def _data(self, data: Any, depth: int) -> Any:
        if isinstance(data, str):
            return self.text(data)
        if isinstance(data, dict | list | tuple) and depth >= DEEPEST:
            return REPLACEMENT
        if isinstance(data, dict):
            return {
                self.text(key) if isinstance(key, str) else key: REPLACEMENT
                if isinstance(value, str) and _under(key, value)
                else self._data(value, depth + 1)
                for key, value in data.items()
            }
        if isinstance(data, list | tuple):
            return type(data)(self._data(value, depth + 1) for value in data)
        return data


class Veiled(Mapping[str, str]):
    """Variables for texts that clients are shown: a secret is stars, so that a text can still ask whether it is set.

    What is not in the environment itself, but behind it, is a secret in any case.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._known: frozenset[str] | None = None
        self._redactor = Redactor()

    def __getitem__(self, name: str) -> str:
        value = self._env[name]
        if self._known is None:
            self._known = secrets_of(self._env)
        behind = all(name != own for own in self._env)
        secret = behind or value in self._known or self._redactor.text(value) != value
        return STARS if secret and value else value

    def __iter__(self) -> Iterator[str]:
        return iter(self._env)

    def __len__(self) -> int:
        return len(self._env)


def secrets_of(env: Mapping[str, str]) -> frozenset[str]:
    """The values of those environment variables that look as if they were secret."""
    return frozenset(
        value
        for name, value in env.items()
        if len(value) >= 8 and _SECRET_NAME.search(name) and not _PLAIN_NAME.search(name) and not _PLAIN.match(value)
    )


_SECRET_NAME = re.compile(
    r"(?:^|_)(?:(?:SECRET|PASSWORD|PASSWD|PASSPHRASE|TOKEN|API_?KEY|CREDENTIALS?)(?:_|\d*$)"
    r"|(?:KEY|PAT|AUTH|PASS|PWD)\d*$)",
    re.IGNORECASE,
)
_PLAIN_NAME = re.compile(
    r"(?:^|_)(?:FILE|PATH|DIR|URL|URI|NAME|TYPE|ID|USER|SOCK|TTL|LIMIT|LENGTH|HOST|PORT)$|^(?:OLD)?PWD$", re.IGNORECASE
)
_PLAIN = re.compile(r"[/~.]|[a-z]+://[^@]*$|\d+$|(?:true|false|disabled|enabled)$", re.IGNORECASE)
"""Values that are no secret, whatever their variable is called: paths, addresses, numbers, switches."""


def _spellings(secret: str) -> set[str]:
    """It as it is, as JSON has it, and as a URL has it."""
    return {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], quote(secret, safe="")}


def _without(text: str, spans: Collection[Span]) -> str:
    pieces: list[str] = []
    done = 0
    for start, end in spans:
        if start >= done:
            pieces += (text[done:start], REPLACEMENT)
        done = max(done, end)
    return "".join((*pieces, text[done:]))


# -- what looks like a secret by itself -------------------------------------------------------------

_SHAPES: Mapping[str, re.Pattern[str]] = {
    start: re.compile(rest)
    for starts, rest in (
        ("AKIA ASIA", r"[A-Z2-7]{16}(?![\w+/=-])"),
        ("AIza", r"[\w-]{35}(?![\w+/=-])"),
        ("ya29.", r"[\w-]{20,}"),
        ("GOCSPX-", r"[\w-]{20,}"),
        ("gh", r"[pousr]_[A-Za-z0-9]{30,}"),
        ("github_pat_", r"\w{22,}"),
        ("gl", r"(?:pat|ptt|rt|dt)-[\w.-]{20,}"),
        ("xox", r"[abeoprs][.-][A-Za-z0-9-]{10,}"),
        ("xapp-", r"\d-[A-Za-z0-9-]{10,}"),
        (
            "sk-",
            r"(?:ant|proj|svcacct|admin|or-v1)-[\w-]{20,}"
            r"|[0-9a-f]{32,}(?![\w-])|(?=[\w-]{0,80}[0-9])(?=[\w-]{0,80}[A-Z])(?=[\w-]{0,80}[a-z])[\w-]{20,}",
        ),
        ("gsk_ xai- pplx- fw_ nvapi- r8_ hf_", r"[A-Za-z0-9_-]{30,}"),
        ("sk_ rk_", r"(?:live|test)_[A-Za-z0-9]{16,}"),
        ("whsec_", r"[A-Za-z0-9]{16,}"),
        ("npm_", r"[A-Za-z0-9]{36}(?!\w)"),
        ("pypi-AgE", r"[\w-]{50,}"),
        ("dckr_", r"[op]at_[\w-]{20,}"),
        ("SG.", r"[\w-]{16,}\.[\w-]{16,}"),
        ("do", r"[opr]_v1_[a-f0-9]{64}"),
        ("hv", r"[bs]\.[\w-]{24,}"),
        ("dapi", r"[0-9a-f]{32}(?![\w-])"),
        ("lin_api_", r"[A-Za-z0-9]{32,}"),
        ("shp", r"(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"),
        ("ntn_ figd_ glsa_ sntrys_ ATATT3 NRAK- tskey-", r"[\w=-]{20,}"),
        ("AGE-SECRET-KEY-1", r"[A-Z0-9]{50,}"),
        ("eyJ", r"[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}"),
        ("https://hooks.slack.com/services/", r"T\w+/B\w+/\w{16,}"),
    )
    for start in starts.split()
}
_BASE64 = frozenset({"AKIA", "ASIA", "AIza"})
"""Starts that could stand in the middle of encoded bytes."""


def _tokens(text: str) -> Iterator[Span]:
    """Tokens whose issuers gave them a form of their own."""
    for start, rest in _SHAPES.items():
        for at in _places(text, start):
            if _begins(text, at, "+/" if start in _BASE64 else "") and (found := rest.match(text, at + len(start))):
                yield at, found.end()


def _places(text: str, part: str) -> Iterator[int]:
    at = text.find(part)
    while at >= 0:
        yield at
        at = text.find(part, at + len(part))


def _begins(text: str, at: int, also: str) -> bool:
    """Whether a word can begin there: behind the `\\n` of a JSON text it can."""
    before = text[at - 1] if at else " "
    if before in "nrt" and text[max(at - 2, 0) : at - 1] == "\\":
        return True
    return not (before.isalnum() or before in "_-" or before in also)


_BEGIN = re.compile(r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_BODY = re.compile(rf"[A-Za-z0-9+/=\s\\:,.-]{{0,{PEM}}}")
_LINES = re.compile(r"(?:\s|\\n|\\r){0,9}[A-Za-z0-9+/=]{16,200}(?:\s|\\n|\\r|[A-Za-z0-9+/=]{16,200}){0,2000}")
_END = re.compile(r"-----END [A-Z0-9 ]{1,80}-----")
_CODED = re.compile(r"[A-Za-z0-9+/=]{16}")


def _keys(text: str) -> Iterator[Span]:
    """Private keys in PEM, whole or cut off."""
    done = 0
    for start in _places(text, "-----BEGIN "):
        if start < done or not (begin := _BEGIN.match(text, start)):
            continue
        body = _BODY.match(text, begin.end())
        end = body and _END.search(text, body.start(), min(body.end() + 100, len(text)))
        whole = end if end and _CODED.search(text, begin.end(), end.start()) else None
        if found := whole or _LINES.match(text, begin.end()):
            done = found.end()
            yield start, done


# -- what is a secret by what stands before it ---------------------------------------------------------

_HEADER = re.compile(
    r"""[\\"']{0,3}\s{0,4}[:=]\s{0,4}[\\"']{0,3}(?:bearer|basic|token|digest)\s+([^\s"'\\,;]{8,})""", re.I
)
_BEARER = re.compile(r"[Bb]earer\s+(?=[\w.~+/=-]{0,200}[0-9])([\w.~+/=-]{20,})")
_LOGIN = re.compile(r"://[^\s/:@\"'<>]{0,100}:([^\s/@\"'<>\\]{3,200})@[\w.\[-]")


def _credentials(text: str) -> Iterator[Span]:
    """What logs in: a header's token, an address's password."""
    lowered = _lowered(text)
    for at in _places(lowered, "authorization"):
        if found := _HEADER.match(text, at + len("authorization")):
            yield found.span(1)
    for at in _places(lowered, "bearer "):
        if found := _BEARER.match(text, at):
            yield found.span(1)
    for at in _places(text, "://"):
        if (found := _LOGIN.match(text, at)) and not _stands_in(found[1]):
            yield found.span(1)


_STRONG = (
    "password", "passwd", "passphrase", "client_secret", "clientsecret", "client-secret", "secret_key", "secretkey",
    "secret-key", "secret_access_key", "secretaccesskey", "api_key", "apikey", "api-key", "access_token", "accesstoken",
    "access-token", "auth_token", "authtoken", "auth-token", "refresh_token", "refreshtoken", "accountkey",
    "sharedaccesskey", "private_key", "privatekey",
)  # fmt: skip
_WEAK = ("secret", "token")

_TURNING = re.compile(r"(?:next|page|pagination|continuation|cursor|skip|sync)[_-]?$", re.IGNORECASE)
"""What stands before `token` where it only finds the next page."""

_ASSIGNED = re.compile(
    r"""\d{0,3}\\{0,2}["'`]?\]?(?P<sign>\s{0,4}(?:=>|:=|==?|:)\s{0,8})(?P<quote>\\{0,2}["'`])?"""
    r"""(?P<value>[^\s"'`\\]{4,})"""
)
_BARE = re.compile(r"[^,;&<>(){}\[\]|$]*")
"""The value, where it is not in quotes."""


def _assigned(text: str) -> Iterator[Span]:
    """Values with a telling name, where they are written out."""
    lowered = _lowered(text)
    for word in (*_STRONG, *_WEAK):
        done = 0
        for at in _places(lowered, word):
            if at >= done and (found := _ASSIGNED.match(text, at + len(word))):
                done = found.end()
                if span := _value(text, at, found, strong=word in _STRONG):
                    yield span


def _value(text: str, at: int, found: re.Match[str], *, strong: bool) -> Span | None:
    """The secret that is assigned to the name that stands there."""
    if not strong and _TURNING.search(text, max(at - 14, 0), at):
        return None
    if found["quote"]:
        closed = text.startswith(found["quote"], found.end())
        return found.span("value") if closed and _telling(found["value"], strong=strong) else None
    bare = _BARE.match(found["value"])
    value = bare[0] if bare else ""
    end = found.start("value") + len(value)
    if len(value) < 4 or text[end : end + 1] not in _ENDS:
        return None
    if not _free(text, at, found["sign"], value, end, strong=strong):
        return None
    return found.start("value"), end


_ENDS = frozenset(("", " ", "\t", "\n", "\r", "&", ";", "'", '"', "`", "\\"))


def _free(text: str, at: int, sign: str, value: str, end: int, *, strong: bool) -> bool:
    """Whether a value without quotes is a secret, and no piece of a program."""
    first = at == 0 or text[at - 1] == "\n"
    if sign == "=":
        return (strong and _sets(text, at) and not _stands_in(value)) or _telling(value, strong=strong)
    if not strong or sign == ":" or sign.strip() not in ("=", ":"):
        return False
    alone = text[end : end + 1] in ("", "\n", "\r")
    program = sign.strip() == "=" and _NAME.fullmatch(value) and not first
    return alone and not program and _telling(value, strong=strong)


def _sets(text: str, at: int) -> bool:
    """Whether the name at this place is that of a variable, an option or a part of an address."""
    first = at == 0 or text[at - 1] in "\n?&"
    return first or text[at : at + 4].isupper() or _OPTION.search(text, max(at - 44, 0), at) is not None


_OPTION = re.compile(r"(?:^|\s)--[\w-]{0,40}$")
_NAME = re.compile(r"[A-Za-z_]\w*")
_NUMBER = re.compile(r"\d")
_CODE = re.compile(r"[A-Za-z_][\w-]*(?:(?:\.|::|->)[A-Za-z_]\w*)+$|(?:u?int|float|varchar|char|sha|utf-?|base)\d+$")
"""Attributes and types: values as programs have them."""


def _telling(value: str, *, strong: bool) -> bool:
    """Whether a value is a secret rather than a word: those of weak names must look like chance."""
    if _stands_in(value) or _CODE.match(value) or not _NUMBER.search(value):
        return bool(strong and re.search(r"[!@#%^*+?]", value) and not _stands_in(value))
    if not strong:
        return len(value) >= 16 and bool(re.search(r"[A-Za-z]", value)) and not re.search(r"[/:\s]", value)
    return not value.isdigit() or len(value) >= 6


_STAND_IN = re.compile(
    r"\[REDACTED|[$<{%*]|x{3,}|\.{3}|(?:your|my|the|an?)[-_ ]"
    r"|(?:pass(?:word|wd|phrase)?|secret|token|changeme|example|none|null|true|false|undefined|string)\d*$",
    re.IGNORECASE,
)


def _stands_in(value: str) -> bool:
    """Whether it only says that a secret belongs there, or that one was."""
    return _STAND_IN.match(value) is not None


_TELLING_NAME = re.compile(
    r"(?:.*[_-])?(?:password|passwd|passphrase|(?:client|app)[_-]?secret|secret[_-]?(?:access[_-]?)?key|api[_-]?key"
    r"|(?:access|auth|refresh|bearer)[_-]?token|private[_-]?key|authorization)",
    re.IGNORECASE,
)


def _under(name: object, value: str) -> bool:
    """Whether data of this name is a secret."""
    if not isinstance(name, str) or not value or _stands_in(value):
        return False
    if _TELLING_NAME.fullmatch(name):
        return len(value) >= 4
    weak = name.lower() in _WEAK or name.lower().endswith(("_token", "_secret"))
    return weak and not _TURNING.search(name[:-5]) and _telling(value, strong=False)


def _lowered(text: str) -> str:
    """The text in small letters, of the same length."""
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else re.sub("[A-Z]+", lambda found: found[0].lower(), text)
