"""How long ago something was, for people."""

from datetime import UTC, datetime


def ago(moment: str, now: datetime | None = None) -> str:
    """As `3m`, `2h` or `5d`; "" for what is no moment."""
    try:
        at = datetime.fromisoformat(moment)
    except ValueError:
        return ""
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    seconds = int(((now or datetime.now(UTC)) - at).total_seconds())
    if at.year < 1971:
        return ""
    if seconds < 60:
        return "now"
    for unit, size in (("m", 60), ("h", 3600), ("d", 86_400)):
        if seconds < size * {"m": 60, "h": 24, "d": 365}[unit]:
            return f"{seconds // size}{unit}"
    return f"{seconds // (365 * 86_400)}y"
