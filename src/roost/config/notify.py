"""The table `[notify]`: who is told that something waits for a person, and what."""

import difflib
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from msgspec import Struct

from roost.config import values
from roost.config.values import Secret, Wrong


class Notify(Struct, frozen=True, kw_only=True):
    """Nobody is told anything unless there is a `webhook`, or `push` is on."""

    webhook: str = ""
    secret: Secret = Secret("")  # what the webhook's messages are signed with
    push: bool = False
    delay: float = 5.0  # seconds in which an answer makes the message needless
    details: bool = False  # tell what is to be run, too
    contact: str = ""  # mailto: or https:, for whoever runs the push service
    private: bool = False  # push services at private addresses will do


def as_delay(value: Any) -> float:
    """How long to wait for an answer."""
    seconds = values.as_seconds(value)
    if seconds > 3600:
        raise Wrong("must be at most an hour")
    return seconds


def as_contact(value: Any) -> str:
    """How the server's keeper is reached."""
    text = values.as_text(value)
    if text and not text.startswith(("mailto:", "https://")):
        raise Wrong("must begin with mailto: or https://")
    return text


FIELDS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "webhook": values.as_url,
    "secret": values.as_secret,
    "push": values.as_flag,
    "delay": as_delay,
    "details": values.as_flag,
    "contact": as_contact,
    "private": values.as_flag,
}


def as_notify(value: Any) -> Notify:
    """The table.

    Raises:
        Wrong: a key is unknown, or its value can't be used; a webhook has no secret.
    """
    table = {key.replace("-", "_"): item for key, item in values.as_table(value).items()}
    for key in table.keys() - FIELDS.keys():
        near = difflib.get_close_matches(key, FIELDS, n=1)
        raise Wrong(f"unknown key {key!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    found = {key: _read(key, item) for key, item in table.items()}
    notify = Notify(**found)
    if notify.webhook and not notify.secret:
        raise Wrong("webhook goes with secret: its messages are signed with it")
    return notify


def as_public_url(value: Any) -> str:
    """The address at which a proxy shows the server: scheme, host and port alone."""
    text = values.as_url(value).rstrip("/")
    parts = urlsplit(text)
    if text and (parts.path or parts.query or parts.fragment or "@" in parts.netloc):
        raise Wrong("must be a scheme and a host, as in https://roost.example")
    return text


def _read(key: str, value: Any) -> Any:
    try:
        return FIELDS[key](value)
    except Wrong as wrong:
        raise Wrong(f"{key} {wrong}") from None
