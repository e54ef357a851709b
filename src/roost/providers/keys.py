"""What a model needs before it can be asked: which variables hold it, and which of them are not set."""

import re
from collections.abc import Mapping
from typing import Any

from roost.core import vendors
from roost.core.agents import ModelSpec
from roost.core.errors import BadModel
from roost.core.vendors import Vendor
from roost.providers import aws, local, vertex

GATEWAY_KEY = "DOCKER_TOKEN"

_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")


class Keys:
    """The environment, asked for what opens a model.  Without `needed`, as where a cassette plays, nothing is."""

    def __init__(self, env: Mapping[str, str], *, gateway: str = "", needed: bool = True) -> None:
        self._env = env
        self._gateway = gateway
        self.needed = needed

    def missing(self, spec: ModelSpec) -> tuple[str, ...]:
        """The variables that are to be set.  AWS may have credentials that no variable knows of: it lacks none."""
        if not self.needed or spec.dialect in ("local", "scripted", "dmr", "bedrock"):
            return ()
        if self.by_gateway(spec):
            return () if self._env.get(GATEWAY_KEY) else (GATEWAY_KEY,)
        if spec.dialect == "google" and vertex.wanted(spec, self._env):
            return vertex.missing(spec, self._env)
        blanks = [name for name in _PLACEHOLDER.findall(self._template(spec)) if not self._env.get(name)]
        if spec.auth:
            name = _identity(spec.auth)
            return (*blanks, *([name] if name and not self._env.get(name) else []))
        unset = spec.token_key and not self._found(spec) and not self._optional(spec)
        return (*blanks, *([spec.token_key] if unset else []))

    def there(self, spec: ModelSpec) -> bool:
        """Whether there is all that the model needs, as far as can be seen without asking anybody."""
        if self.needed and spec.dialect == "bedrock":
            return bool(self._found(spec)) or aws.evident(spec, self._env)
        if spec.dialect == "local":
            return local.installed()
        return not self.missing(spec)

    def key(self, spec: ModelSpec) -> str:
        """The key for a model; "" where none is sent.

        Raises:
            BadModel: it is not set.
        """
        if found := self._env.get(GATEWAY_KEY, "") if self.by_gateway(spec) else self._found(spec):
            return found
        if not self.needed:
            return "none" if spec.token_key else ""
        if missing := self.missing(spec):
            named = repr(spec.name) if spec.name == spec.ref else f"{spec.name!r} ({spec.ref})"
            raise BadModel(f"model {named} needs a key: set the variable {missing[0]}")
        return ""

    def address(self, spec: ModelSpec) -> str:
        """The base URL, with variables filled in where it is the provider's own.

        Raises:
            BadModel: one is not set.
        """

        def value(match: "re.Match[str]") -> str:
            if not (found := self._env.get(match[1])):
                raise BadModel(f"the provider {spec.provider} needs the variable {match[1]}")
            return found

        return _PLACEHOLDER.sub(value, self._template(spec)) or spec.base_url

    def by_gateway(self, spec: ModelSpec) -> bool:
        """Whether a model is reached through the models gateway: no address that a person chose is."""
        vendor = vendors.vendor(spec.provider)
        if not self._gateway or vendor is None or not vendor.native or spec.bypass_gateway:
            return False
        return spec.base_url == vendor.base_url and not (
            spec.dialect == "google" and bool(spec.options.get("project") or spec.options.get("location"))
        )

    def _template(self, spec: ModelSpec) -> str:
        vendor = vendors.vendor(spec.provider)
        return vendor.base_url if vendor is not None and spec.base_url == vendor.base_url else ""

    def _found(self, spec: ModelSpec) -> str:
        vendor = _keeper(spec)
        spare = vendor.spare_keys if vendor is not None and spec.token_key == vendor.token_key else ()
        return next((value for name in (spec.token_key, *spare) if name and (value := self._env.get(name))), "")

    def _optional(self, spec: ModelSpec) -> bool:
        """Whether a server that the file names may do without the key of the original one."""
        vendor = vendors.vendor(spec.provider)
        if vendor is None or not vendor.base_url:
            return False
        return spec.base_url != vendor.base_url and spec.token_key == vendor.token_key


def _keeper(spec: ModelSpec) -> Vendor | None:
    """The vendor whose key a model uses, under whatever name the file has it."""
    return vendors.vendor(spec.provider) or (vendors.vendor("google") if spec.dialect == "google" else None)


def _identity(auth: Mapping[str, Any]) -> str:
    """The variable with the token that says who we are; "" where it comes from elsewhere."""
    source = (auth.get("workload_identity_federation") or auth).get("identity_token") or {}
    return str(source.get("env", "")) if isinstance(source, dict) else ""
