"""What an agent CLI can do, and which models it knows: the data behind `GET /api/v1/capability`."""

from msgspec import Struct


class Feature(Struct, frozen=True, omit_defaults=True):
    """Whether a CLI can do something, by itself (`native`) or because we do it for it."""

    supported: bool = False
    native: bool = False
    completeness: str | None = None  # of session_logs
    semantics: str | None = None  # of streaming_input: queue, interrupt, between-turns-only


class Capability(Struct, frozen=True):
    """A CLI, described."""

    provider: str
    default_model: str
    available_models: tuple[str, ...]
    size_mappings: dict[str, str]  # small, medium, large
    features: dict[str, Feature]
    open_models: bool = False  # takes names that are not in the list
