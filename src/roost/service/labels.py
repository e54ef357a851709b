"""What a person knows a browser by: its name and where it runs, out of its `User-Agent`."""

import re

LONGEST = 60

_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Firefox", "Firefox"),
    ("HeadlessChrome", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
_PLACES = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Macintosh", "Mac"),
    ("Linux", "Linux"),
)


def label(agent: str) -> str:
    """A few words, as in `Safari on iPhone`; what is no browser is called what it calls itself."""
    browser = next((name for mark, name in _BROWSERS if re.search(rf"\b{mark}[A-Za-z]*/", agent)), "")
    place = next((name for mark, name in _PLACES if mark in agent), "")
    if browser and place:
        return f"{browser} on {place}"
    shown = "".join(char for char in agent.partition(" ")[0] if char.isprintable())
    return browser or shown[:LONGEST] or "A browser"
