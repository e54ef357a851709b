"""The colours of the screen, taken from a theme: few, and each means one thing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rich.style import Style
from textual.color import Color, ColorParseError

CONTRAST = 4.5  # what text must have on its ground


@dataclass(frozen=True, slots=True, eq=False)
class Palette:
    """Styles by what they are for; each palette is its own, so that what was drawn with it can be kept by it."""

    text: Style
    strong: Style
    muted: Style
    faint: Style
    accent: Style
    good: Style
    bad: Style
    warn: Style
    link: Style
    heading: Style
    code: Style
    block: Style  # the ground of a block of code
    said: Style  # the ground of what a person said
    added: Style
    removed: Style
    selected: Style
    match: Style
    match_here: Style
    pill: Style
    hues: tuple[Style, ...]
    syntax: Mapping[str, Style]

    def hue(self, agent: str) -> Style:
        """The colour of an agent: the same one wherever it speaks."""
        return self.hues[sum(agent.encode("utf-8", "replace")) % len(self.hues)]


_DEFAULTS = {
    "background": "#121212",
    "surface": "#1e1e1e",
    "panel": "#242f38",
    "foreground": "#e0e0e0",
    "primary": "#0178d4",
    "secondary": "#004578",
    "accent": "#ffa62b",
    "success": "#4ebf71",
    "warning": "#ffa62b",
    "error": "#ba3c5b",
}


def from_theme(variables: Mapping[str, str]) -> Palette:
    """The palette of a theme, as its CSS variables tell it; one of the terminal's own uses nothing but those."""
    if variables.get("foreground", "").startswith("ansi_"):
        return _terminal()
    ink = {name: _colour(variables.get(name, ""), name) for name in _DEFAULTS}
    ground, text = ink["background"], ink["foreground"]
    dark = ground.brightness < 0.5

    def on(share: float, colour: Color = text) -> Color:
        return ground.blend(colour, share, alpha=1)

    def style(colour: Color, ground: Color | None = None, **more: bool | None) -> Style:
        back = ground.rich_color if ground is not None else None
        return Style(color=colour.rich_color, bgcolor=back, **more)  # type: ignore[arg-type]

    def readable(colour: Color) -> Color:
        """A colour that can be read on the ground: as much of it as there can be."""
        steps = (colour.blend(text, share / 10, alpha=1) for share in range(10))
        return next((step for step in steps if _contrast(step, ground) >= CONTRAST), text)

    hues = tuple(style(readable(colour)) for colour in _hues(ink, dark))
    good, bad, warn = (readable(ink[name]) for name in ("success", "error", "warning"))
    accent, link = readable(ink["primary"]), readable(ink["primary"].blend(ink["accent"], 0.15, alpha=1))
    return Palette(
        text=style(text),
        strong=style(text, bold=True),
        muted=style(on(0.65)),
        faint=style(on(0.47)),
        accent=style(accent),
        good=style(good),
        bad=style(bad),
        warn=style(warn),
        link=style(link, underline=True),
        heading=style(accent, bold=True),
        code=style(readable(ink["accent"].blend(text, 0.25, alpha=1))),
        block=style(text, on(0.06)),
        said=style(text, on(0.1, ink["primary"])),
        added=style(text, on(0.2, ink["success"])),
        removed=style(text, on(0.2, ink["error"])),
        selected=Style(bgcolor=on(0.16, ink["primary"]).rich_color),
        match=Style(color=ground.rich_color, bgcolor=on(0.75, ink["warning"]).rich_color),
        match_here=Style(color=ground.rich_color, bgcolor=ink["accent"].rich_color, bold=True),
        pill=Style(color=ground.rich_color, bgcolor=accent.rich_color, bold=True),
        hues=hues,
        syntax=_syntax(style, on, good, accent, readable(ink["accent"]), hues),
    )


def _terminal() -> Palette:
    """Whatever colours the terminal has: grounds are left as they are."""

    def style(words: str) -> Style:
        return Style.parse(words)

    hues = tuple(style(name) for name in ("cyan", "magenta", "green", "yellow", "bright_blue", "bright_magenta"))
    return Palette(
        text=Style(),
        strong=style("bold"),
        muted=style("dim"),
        faint=style("dim"),
        accent=style("blue"),
        good=style("green"),
        bad=style("red"),
        warn=style("yellow"),
        link=style("blue underline"),
        heading=style("blue bold"),
        code=style("cyan"),
        block=Style(),
        said=style("bold"),
        added=style("green"),
        removed=style("red"),
        selected=Style(),
        match=style("reverse"),
        match_here=style("reverse bold"),
        pill=style("reverse bold"),
        hues=hues,
        syntax={
            "Keyword": style("blue bold"),
            "Name.Function": style("cyan"),
            "Literal.String": style("green"),
            "Literal.Number": style("yellow"),
            "Comment": style("dim italic"),
        },
    )


def _contrast(one: Color, other: Color) -> float:
    """How well one can be told from the other: 1 is not at all, 21 is black on white."""
    first, second = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (first + 0.05) / (second + 0.05)


def _luminance(colour: Color) -> float:
    parts = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in colour.normalized)
    return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), parts, strict=True))


def _hues(ink: Mapping[str, Color], dark: bool) -> list[Color]:
    """Colours apart from each other, none of them that of a failure."""
    light = 0.68 if dark else 0.36
    return [Color.from_hsl(turn, 0.5, light) for turn in (0.57, 0.76, 0.45, 0.13, 0.86, 0.3)]


def _syntax(
    style: Callable[..., Style],
    on: Callable[[float], Color],
    good: Color,
    accent: Color,
    number: Color,
    hues: tuple[Style, ...],
) -> dict[str, Style]:
    return {
        "Keyword": style(accent, bold=True),
        "Name.Function": hues[0],
        "Name.Class": hues[0] + Style(bold=True),
        "Name.Decorator": hues[3],
        "Name.Builtin": hues[1],
        "Name.Tag": style(accent),
        "Name.Attribute": hues[1],
        "Literal.String": style(good),
        "Literal.Number": style(number),
        "Operator": style(on(0.75)),
        "Punctuation": style(on(0.7)),
        "Comment": style(on(0.5), italic=True),
        "Generic.Inserted": style(good),
    }


def _colour(text: str, name: str) -> Color:
    try:
        found = Color.parse(text or _DEFAULTS[name])
    except ColorParseError:
        found = Color.parse(_DEFAULTS[name])
    return found if found.ansi is None and found.a == 1 else Color.parse(_DEFAULTS[name])
