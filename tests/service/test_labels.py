"""What a person knows a browser by."""

import pytest

from roost.service.labels import LONGEST, label

M = "Mozilla/5.0"


@pytest.mark.parametrize(
    ("agent", "wanted"),
    [
        (f"{M} (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile/15E148 Safari/604.1", "Safari on iPhone"),
        (f"{M} (iPhone; CPU iPhone OS 18_0 like Mac OS X) CriOS/140.0 Mobile/15E148 Safari/604.1", "Chrome on iPhone"),
        (f"{M} (Linux; Android 15; Pixel 9) Chrome/140.0.0.0 Mobile Safari/537.36", "Chrome on Android"),
        (f"{M} (Android 15; Mobile; rv:142.0) Gecko/142.0 Firefox/142.0", "Firefox on Android"),
        (f"{M} (Windows NT 10.0; Win64; x64) Chrome/140.0.0.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        (f"{M} (Macintosh; Intel Mac OS X 10_15_7) Version/18.0 Safari/605.1.15", "Safari on Mac"),
        (f"{M} (X11; Linux x86_64) HeadlessChrome/140.0.0.0 Safari/537.36", "Chrome on Linux"),
        ("curl/8.9.1", "curl/8.9.1"),
        ("", "A browser"),
        ("\x1b[2J" + "x" * 500, "[2J" + "x" * (LONGEST - 3)),
    ],
)
def test_a_few_words_say_which_it_is(agent: str, wanted: str) -> None:
    assert label(agent) == wanted
