"""The colours to choose from."""

from dataclasses import replace

from textual.color import Color
from textual.theme import BUILTIN_THEMES, Theme

DEFAULT = "dark"

_DARK = Theme(
    name="dark",
    primary="#7aa2f7",
    secondary="#7dcfff",
    accent="#bb9af7",
    warning="#e0af68",
    error="#f7768e",
    success="#9ece6a",
    foreground="#d5d9e8",
    background="#16181f",
    surface="#1c1f28",
    panel="#262a36",
    variables={"border": "#3b4152", "border-blurred": "#2d3240", "block-cursor-text-style": "none"},
)
_LIGHT = Theme(
    name="light",
    primary="#1f5fbf",
    secondary="#0b7285",
    accent="#7b3fb5",
    warning="#8a5a00",
    error="#b3261e",
    success="#1e7a34",
    foreground="#1d2129",
    background="#fbfbfa",
    surface="#f1f1ef",
    panel="#e4e4e1",
    dark=False,
    variables={"border": "#b9bcc4", "border-blurred": "#d5d6da", "block-cursor-text-style": "none"},
)
_CONTRAST = Theme(
    name="high-contrast",
    primary="#ffff00",
    secondary="#00ffff",
    accent="#ff8cff",
    warning="#ffd000",
    error="#ff6b6b",
    success="#00ff66",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#1a1a1a",
    text_alpha=1.0,
    variables={
        "border": "#ffffff",
        "border-blurred": "#aaaaaa",
        "text-muted": "#e0e0e0",
        "block-cursor-text-style": "bold",
    },
)


def _terminal() -> Theme:
    """The terminal's own sixteen colours."""
    plain = BUILTIN_THEMES["ansi-dark"]
    return Theme(
        name="terminal",
        primary="ansi_blue",
        secondary="ansi_cyan",
        accent="ansi_magenta",
        warning="ansi_yellow",
        error="ansi_red",
        success="ansi_green",
        foreground="ansi_default",
        background="ansi_default",
        surface="ansi_default",
        panel="ansi_default",
        boost="ansi_default",
        ansi=True,
        variables={
            **plain.variables,
            "text-muted": "ansi_default",
            "border": "ansi_bright_black",
            "border-blurred": "ansi_bright_black",
        },
    )


def _muted(theme: Theme) -> Theme:
    """With a colour of its own for what matters less: one that is blended when it is drawn is not drawn everywhere."""
    if theme.ansi or "text-muted" in theme.variables or not (theme.foreground and theme.background):
        return theme
    muted = Color.parse(theme.background).blend(Color.parse(theme.foreground), 0.66, alpha=1)
    return replace(theme, variables={**theme.variables, "text-muted": muted.hex})


_KNOWN: dict[str, tuple[Theme, str]] = {
    "dark": (_DARK, "for dark rooms"),
    "light": (_LIGHT, "for bright ones"),
    "high-contrast": (_CONTRAST, "black, white and strong colours"),
    "terminal": (_terminal(), "your terminal's own colours"),
    "nord": (BUILTIN_THEMES["nord"], "calm blues and greys"),
    "gruvbox": (BUILTIN_THEMES["gruvbox"], "warm and earthy"),
    "catppuccin-mocha": (BUILTIN_THEMES["catppuccin-mocha"], "soft pastels, dark"),
    "catppuccin-latte": (BUILTIN_THEMES["catppuccin-latte"], "soft pastels, light"),
    "solarized-light": (BUILTIN_THEMES["solarized-light"], "the well-known one, light"),
    "dracula": (BUILTIN_THEMES["dracula"], "purple, pink and green"),
}

THEMES = {name: (_muted(theme), words) for name, (theme, words) in _KNOWN.items()}
"""By name, with what to say of it."""
