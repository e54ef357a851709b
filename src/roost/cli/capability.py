"""`roost capability`: what a provider can do."""

import click

from roost.cli import asking, reach, show
from roost.cli.columns import Column
from roost.client import requests
from roost.client.fleet import Capability


@click.command(short_help="Say what a provider can do.")
@click.argument("name", required=False, metavar="[PROVIDER]")
@click.option("-p", "--provider", metavar="NAME", help="The same.")
@click.option(
    "--format", "form", type=click.Choice(["table", "json", "yaml", "toml"]), default="table", help="How to print it."
)
@click.option("--pretty", is_flag=True, help="JSON over several lines.")
@asking.as_json
@click.pass_context
def capability(
    ctx: click.Context, /, *, name: str | None, provider: str | None, form: str, pretty: bool, as_json: bool
) -> None:
    """Say what a provider can do: its models, and which features are its own, ours or missing."""
    client = reach.client(ctx)
    wanted = "json" if as_json or form == "table" else form
    raw = client.raw(request := requests.capability(name or provider, form=wanted, pretty=pretty or None))
    if as_json:
        show.document(raw)
    elif form == "table":
        one(client.read(request, raw))
    else:
        show.text(raw.decode())


def one(found: Capability) -> None:
    """A provider, and a row for each feature."""
    show.fields(
        [
            ("provider", found.provider),
            ("model", found.default_model),
            ("models", found.available_models),
            ("sizes", [f"{size} = {model}" for size, model in found.size_mappings.items()]),
        ]
    )
    words = {(True, True): "yes", (True, False): "by us"}
    rows = [(name, words.get((one.supported, one.native), "no")) for name, one in found.features.items()]
    if rows:
        click.echo()
        show.table((Column("feature"), Column("there")), rows)
