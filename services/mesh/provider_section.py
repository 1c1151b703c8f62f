"""One account at a provider, as the file has it: which keys there are, whose they are, and what is missing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, SecretStr

from services.dialects.names import DIALECTS
from services.mesh.section import Section, Texts
from services.providers.plugin_names import plugin_names
from services.providers.settings import Entra, Limits

SIM: Final = "sim"
"""Name of the built-in provider."""

UNSET: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
"""A variable that the environment does not have, as the loader leaves it in the text."""

OWNERS: Final[Mapping[str, frozenset[str]]] = {
    "profile": frozenset({"openai", "openai-responses"}),
    "responses": frozenset({"openai"}),
    "api_version": frozenset({"azure-openai"}),
    "entra": frozenset({"azure-openai"}),
    "access_token": frozenset({"azure-openai", "vertex"}),
    "project": frozenset({"vertex"}),
    "location": frozenset({"vertex"}),
    "credentials_file": frozenset({"vertex"}),
    "region": frozenset({"bedrock"}),
    "access_key_id": frozenset({"bedrock"}),
    "secret_access_key": frozenset({"bedrock"}),
    "session_token": frozenset({"bedrock"}),
}
"""Keys that only some dialects have; `options` belongs to plug-ins."""

_NEEDS_NOTHING: Final = frozenset({"sim", "ollama"})


def _known_dialect(name: str) -> str:
    if name not in DIALECTS and name not in plugin_names():
        raise ValueError(f"should be one of {', '.join(DIALECTS)}, or the name of an installed plug-in")
    return name


def _known_profile(name: str) -> str:
    from services.dialects.openai.profile import PROFILES

    if name and name not in PROFILES and not UNSET.search(name):
        raise ValueError(f"should be one of {', '.join(sorted(PROFILES))}")
    return name


class ProviderModel(Section):
    """What is known of a provider's model."""

    display_name: str = ""
    capabilities: Texts | None = None
    modalities: Texts | None = None
    input_modalities: Texts | None = None
    output_modalities: Texts | None = None
    context_tokens: int | None = Field(None, gt=0)
    max_output_tokens: int | None = Field(None, gt=0)


class Provider(Section):
    """One account at a provider. Texts with an unset `${NAME}` leave it not configured."""

    dialect: Annotated[str, AfterValidator(_known_dialect)]
    base_url: str = ""
    api_key: SecretStr | None = None
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    profile: Annotated[str, AfterValidator(_known_profile)] = ""
    responses: bool | None = None
    api_version: str = ""
    entra: Entra | None = None
    access_token: SecretStr | None = None
    project: str = ""
    location: str = "global"
    credentials_file: str = ""
    region: str = ""
    access_key_id: SecretStr | None = None
    secret_access_key: SecretStr | None = None
    session_token: SecretStr | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    """A plug-in's own settings."""
    limits: Limits = Limits()
    cancel_billing: Literal["stops", "continues"] = "stops"
    """Whether the provider goes on charging for an answer whose caller has hung up."""
    max_connections: int = Field(1000, ge=1, le=100_000)
    models: tuple[str, ...] | dict[str, ProviderModel | None] = ()
    price_list: str = ""

    @property
    def missing(self) -> tuple[str, ...]:
        """What keeps the account from being used."""
        found = [
            f"${{{name}}} is not set"
            for text in _texts({name: getattr(self, name) for name in self.model_fields_set - {"models"}})
            for name in UNSET.findall(text)
        ]
        return tuple(dict.fromkeys([*found, *self._required()]))

    def _required(self) -> list[str]:
        """What the dialect cannot do without. An address of its own or headers may stand for a credential."""
        secret = self.api_key or self.access_token or self.headers
        wanted: tuple[tuple[str, object], ...] = ()
        match self.dialect:
            case "azure-openai":
                wanted = (("base_url", self.base_url), ("api_key or entra", secret or self.entra))
            case "vertex":
                token = secret or self.credentials_file or self.base_url
                wanted = (("project", self.project), ("credentials_file or access_token", token))
            case "bedrock":
                key, word = self.access_key_id, self.secret_access_key
                wanted = (
                    ("region", self.region),
                    ("access_key_id", key or not word),
                    ("secret_access_key", word or not key),
                )
            case name if name in DIALECTS and name not in _NEEDS_NOTHING:
                wanted = (("api_key", secret or self.base_url),)
        return [what for what, there in wanted if not there]


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value."""
    match value:
        case str():
            yield value
        case SecretStr():
            yield value.get_secret_value()
        case Entra():
            yield from _texts(dict(value))
        case dict():
            for item in value.values():
                yield from _texts(item)
        case list() | tuple():
            for item in value:
                yield from _texts(item)
