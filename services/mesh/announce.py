"""What `llmhub up` tells the person who started it, on standard error."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import Final

from services.mesh.config import Config
from services.mesh.provider_section import SIM
from services.mesh.resolve import providers_of

_EXAMPLES: Final = {
    "anthropic": "claude-haiku-4-5",
    "gemini": "gemini-2.5-flash",
    "vertex": "gemini-2.5-flash",
    "bedrock": "amazon.nova-lite-v1:0",
    "ollama": "llama3.2",
    "cohere": "command-a-03-2025",
}
"""A model of each dialect that is not OpenAI's."""


@dataclass(slots=True)
class Steps:
    """Prints a line per step with the time since the start."""

    began: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """Print one step."""
        print(f"llmhub: [{time.monotonic() - self.began:4.1f} s] {text}", file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True)
class Farewell:
    """The first part to drain: says so."""

    steps: Steps

    async def drain(self, grace: float) -> None:
        """Say that the end has begun."""
        self.steps.say(f"stopping: running calls may end within {grace:.0f} s (again Ctrl-C stops at once)")


def ready(config: Config, url: str, key: str | None, *, terminal: bool) -> str:
    """Return the closing words: where it is, the key, and a command that works when pasted.

    A key that the operator has chosen is shown on a terminal only: other output is kept in somebody's logs.
    """
    if key is not None and config.auth.bootstrap_key is not None and not terminal:
        key = "$LLMHUB_BOOTSTRAP_KEY"
    lines = ["", f"  ready at   {url}"]
    lines.append(
        f"  API key    {key}" if key else "  API key    as configured; make more with: llmhub keys create"
    )
    lines += [f"  provider   {name}: {text}" for name, text in _providers(config)]
    shown = key or "$LLMHUB_KEY"
    insecure = " -k" if url.startswith("https:") else ""
    body = f'{{"model": "{_model(config)}", "messages": [{{"role": "user", "content": "Hello"}}]}}'
    lines += [
        "",
        "  try it:",
        "",
        f"curl{insecure} {url}/v1/chat/completions \\",
        f'  -H "authorization: Bearer {shown}" -H "content-type: application/json" \\',
        f"  -d '{body}'",
        "",
        "  Ctrl-C stops everything.",
        "",
    ]
    return "\n".join(lines)


def _providers(config: Config) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, provider in providers_of(config).items():
        if provider.missing:
            rows.append((name, f"not configured ({', '.join(provider.missing)})"))
        elif provider.dialect == SIM:
            rows.append((name, "built in, a simulation that works offline"))
        else:
            rows.append((name, f"{provider.dialect} dialect"))
    return rows


def _model(config: Config) -> str:
    """A model that can be called now: the simulated one, an alias, or one of a configured provider."""
    providers = providers_of(config)
    usable = {name for name, provider in providers.items() if not provider.missing}
    for name, provider in providers.items():
        if provider.dialect == SIM:
            return f"{name}/echo"
    for alias, entry in config.models.items():
        if any(target.partition("/")[0] in usable for target in entry.targets or ()):
            return alias
    for name in sorted(usable):
        listed = list(providers[name].models)
        if listed:
            return f"{name}/{listed[0]}"
        return f"{name}/{_EXAMPLES.get(providers[name].dialect, 'gpt-4o-mini')}"
    return "sim/echo"
