"""The real server, for which every model provider without a setting of its own lives at `ROOST_TEST_MODELS`.

OpenAI, Anthropic and Google are reached through a models gateway (`ROOST_MODELS_GATEWAY`), and Docker Model Runner
by `MODEL_RUNNER_HOST`: they need nothing of this.
"""

import os

from msgspec.structs import replace

from roost.__main__ import main
from roost.core.vendors import VENDORS
from roost.providers import aws

if __name__ == "__main__":
    models = os.environ["ROOST_TEST_MODELS"]
    moved = {
        name: replace(vendor, base_url=f"{models}/v1")
        for name, vendor in VENDORS.items()
        if vendor.base_url and not vendor.native
    }
    VENDORS.update(moved)  # type: ignore[attr-defined]
    bedrock = aws.address
    aws.address = lambda spec, env: models if "amazonaws" in (there := bedrock(spec, env)) else there
    main()
