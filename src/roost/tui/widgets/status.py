"""The line at the bottom: what the session is doing, with what, and at what price."""

from dataclasses import dataclass, replace

from rich.cells import cell_len
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_BETWEEN = "  "
PLACE = 24  # characters of an address that are shown whole


@dataclass(frozen=True, slots=True)
class Standing:
    """What there is to be told; what is empty is left out.  `since` is how many seconds it works."""

    state: str = "new"
    agent: str = ""
    model: str = ""
    safety: str = ""
    title: str = ""
    listening: str = ""
    context: int = 0
    limit: int = 0
    threshold: float = 0.0
    cost: float = 0.0
    tree_cost: float = 0.0
    unpriced: bool = False
    queued: int = 0
    waits: int = 0
    seconds: int = 0
    beat: int = 0
    trouble: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the line; the lowest `rank` goes last when there is no room."""

    text: str
    style: str
    rank: int
    right: bool = False


def parts(now: Standing) -> list[Part]:
    """All that could be said, from left to right."""
    found = [_state(now)]
    if now.hint:
        found.append(Part(now.hint, "$warning", 0))
    found.append(Part(now.agent, "$accent", 2))
    found.append(Part(_model(now.model), "$text-muted", 4))
    found.append(Part(f"↳ {now.queued} queued" if now.queued else "", "$secondary", 3))
    found.append(Part(f"↯ {now.safety}" if now.safety else "", _SAFETY.get(now.safety, "$text-muted"), 5))
    found.append(Part(now.title, "$text-muted", 9, right=True))
    found.append(Part(f"⇄ {_address(now.listening)}" if now.listening else "", "$secondary", 8, right=True))
    found.append(Part(_context(now), _pressure(now), 6, right=True))
    found.append(Part(_cost(now), "$text-muted", 7, right=True))
    return [part for part in found if part.text]


def line(now: Standing, width: int) -> Content:
    """As much of it as fits."""
    found = parts(now)
    room = width - 2
    while len(found) > 1 and _length(found) > room:
        last = max(found, key=lambda part: part.rank)
        spare = room - (_length(found) - cell_len(last.text))
        at = found.index(last)
        if last.rank == 9 and spare >= 8:  # a title may be cut
            found[at] = replace(last, text=f"{last.text[: spare - 1]}…", rank=-1)
        else:
            del found[at]
    left = _joined([part for part in found if not part.right])
    right = _joined([part for part in found if part.right])
    gap = max(room - left.cell_length - right.cell_length, 1)
    return Content.assemble(" ", left, " " * gap, right, " ")


_STATES = {
    "running": ("working", "$success"),
    "waiting": ("waits for you", "$warning"),
    "queued": ("queued", "$secondary"),
    "failed": ("failed", "$error"),
    "canceled": ("stopped", "$text-muted"),
    "completed": ("completed", "$text-muted"),
    "idle": ("ready", "$text-muted"),
    "new": ("ready", "$text-muted"),
    "opening": ("opening …", "$text-muted"),
}
_SAFETY = {"autonomous": "$error", "strict": "$success"}


def _state(now: Standing) -> Part:
    if now.trouble:
        return Part(f"⚠ {now.trouble}", "$error bold", 1)
    word, style = _STATES.get(now.state, (now.state, "$text-muted"))
    if now.waits:
        word, style = (f"{now.waits} wait for you" if now.waits > 1 else "waits for you"), "$warning bold"
        return Part(f"◆ {word}", style, 1)
    if now.state == "running":
        return Part(f"{_SPINNER[now.beat % len(_SPINNER)]} {word} {elapsed(now.seconds)}".rstrip(), style, 1)
    return Part(f"{'✗' if now.state == 'failed' else '●'} {word}", style, 1)


def elapsed(seconds: int) -> str:
    """A length of time in as few characters as will do."""
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m{seconds % 60:02}s"
    return f"{seconds // 3600}h{seconds % 3600 // 60:02}m"


def amount(tokens: int) -> str:
    """So many tokens, for people."""
    if tokens < 1000:
        return str(tokens)
    return (
        f"{tokens / 1000:.1f}k"
        if tokens < 100_000
        else f"{tokens / 1000:.0f}k"
        if tokens < 1e6
        else f"{tokens / 1e6:.1f}M"
    )


def money(cost: float) -> str:
    """Dollars, with cents as long as they matter."""
    return f"${cost:.4f}" if 0 < cost < 0.01 else f"${cost:.2f}"


def _model(name: str) -> str:
    return name.rpartition("/")[2] if len(name) > 24 else name


def _address(place: str) -> str:
    """Where others can take part; of a long path its end."""
    return f"…/{place.rpartition('/')[2]}" if len(place) > PLACE and "/" in place else place


def _context(now: Standing) -> str:
    if not now.context:
        return ""
    if not now.limit:
        return f"{amount(now.context)} tokens"
    return f"{amount(now.context)}/{amount(now.limit)} {100 * now.context / now.limit:.0f}%"


def _pressure(now: Standing) -> str:
    share = now.context / now.limit if now.limit else 0.0
    return "$error" if share >= (now.threshold or 0.9) else "$warning" if share >= 0.7 else "$text-muted"


def _cost(now: Standing) -> str:
    if not now.cost and not now.tree_cost:
        return "no price" if now.unpriced else ""
    own = money(now.cost) + ("+" if now.unpriced else "")
    return own if now.tree_cost <= now.cost * 1.0001 else f"{own} (all {money(now.tree_cost)})"


def _length(found: list[Part]) -> int:
    return sum(cell_len(part.text) for part in found) + len(_BETWEEN) * len(found)


def _joined(found: list[Part]) -> Content:
    return Content(_BETWEEN).join(Content.styled(part.text, part.style) for part in found)


class Status(Widget):
    """Draws it."""

    now: reactive[Standing] = reactive(Standing(state="opening"))

    def render(self) -> Content:
        """As much as fits."""
        return line(self.now, self.size.width)
