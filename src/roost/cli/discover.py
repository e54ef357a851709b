"""`roost discover`: which providers and models there are."""

from typing import Any

import click
import msgspec

from roost.cli import asking, capability, reach, show
from roost.cli.columns import Column
from roost.client import requests
from roost.client.fleet import Capability


@click.command(short_help="Say which providers and models there are.")
@click.option("-p", "--provider", metavar="NAME", help="Only this provider.")
@click.option("--models", is_flag=True, help="Their models.")
@click.option("--resolve", metavar="NAME", help="What this name of a model stands for; with --provider.")
@click.option(
    "--format", "form", type=click.Choice(["table", "json", "yaml", "toml"]), default="table", help="How to print it."
)
@click.option("--pretty", is_flag=True, help="JSON over several lines.")
@asking.as_json
@click.pass_context
def discover(
    ctx: click.Context,
    /,
    *,
    provider: str | None,
    models: bool,
    resolve: str | None,
    form: str,
    pretty: bool,
    as_json: bool,
) -> None:
    """Say which providers and models there are."""
    if resolve and not provider:
        raise click.UsageError("--resolve needs --provider: names of models mean different things")
    client = reach.client(ctx)
    wanted = None if as_json or form in ("table", "json") else form
    request = requests.discover(
        provider=provider, models=models or None, resolve=resolve, form=wanted, pretty=pretty or None
    )
    raw = client.raw(request)
    if as_json or (form == "json" and pretty):
        show.document(raw)
    elif form != "table":
        show.text(raw.decode())
    else:
        _show(client.read(request, raw))


def _show(found: Any) -> None:
    match found:
        case {"resolved": resolved}:
            show.text(str(resolved))
        case {"provider": _, "features": _}:
            capability.one(msgspec.convert(found, Capability))
        case [{"models": _}, *_]:
            rows = [
                (item["provider"], model, model == item.get("default_model"))
                for item in found
                for model in item["models"]
            ]
            show.table((Column("provider", firm=True), Column("model"), Column("default")), rows)
        case [*items]:
            rows = [(item.get("provider"), item.get("default_model"), item.get("available_models")) for item in items]
            show.table((Column("provider", firm=True), Column("default"), Column("models")), rows)
        case _:
            show.document(found)
