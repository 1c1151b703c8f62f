"""`llmhub providers`: what is configured, and whether it works. Needs no running server."""

from __future__ import annotations

import argparse
import asyncio
import os
from typing import TYPE_CHECKING, Final

from services.mesh.faults import FAILED, Misuse

if TYPE_CHECKING:
    from llmhub.provider.v1.provider_check_pb2 import ProviderCheck
    from services.mesh.config import Config
    from services.providers.settings import Account

_RESULTS: Final = {"PASSED": "ok", "FAILED": "FAILED", "SKIPPED": "skipped"}


def list_providers(options: argparse.Namespace) -> int:
    """Print one line per provider, in the order of the file."""
    from services.mesh.resolve import providers_of

    rows = [("NAME", "DIALECT", "STATE")]
    for name, provider in providers_of(_config(options)).items():
        state = f"not configured: {', '.join(provider.missing)}" if provider.missing else "configured"
        rows.append((name, provider.dialect, state))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def test(options: argparse.Namespace) -> int:
    """Try a provider and print one line per check; fail if one of them does."""
    from services.mesh.commands.opening import configure_logs
    from services.mesh.resolve import providers_of, providers_settings

    config = _config(options)
    configure_logs(config, "error")
    provider = providers_of(config).get(options.name)
    if provider is None:
        known = ", ".join(providers_of(config))
        raise Misuse(f"no provider is called {options.name} in the configuration; there are: {known}")
    account = providers_settings(config).accounts[options.name]
    model = options.model or next(iter(provider.models), "")
    checks = asyncio.run(_checked(account, model))
    for each in checks:
        print(_line(each))
    return FAILED if any(_result(each) == "FAILED" for each in checks) else 0


def _config(options: argparse.Namespace) -> Config:
    from services.mesh import loading

    return loading.load(loading.find_file(options.config), os.environ, {})


async def _checked(account: Account, model: str) -> list[ProviderCheck]:
    from services.providers.checking import check
    from services.providers.settings import ProvidersSettings
    from services.providers.wiring import adapter_for

    async with adapter_for(account, ProvidersSettings()) as adapter:
        return await check(account, adapter, model)


def _result(check: ProviderCheck) -> str:
    from llmhub.provider.v1.provider_check_pb2 import ProviderCheckResult

    return ProviderCheckResult.Name(check.result).removeprefix("PROVIDER_CHECK_RESULT_")


def _line(check: ProviderCheck) -> str:
    from llmhub.provider.v1.provider_check_pb2 import ProviderCheckKind

    kind = ProviderCheckKind.Name(check.kind).removeprefix("PROVIDER_CHECK_KIND_").lower()
    took = check.took.ToMilliseconds()
    time = f" ({took} ms)" if took else ""
    return f"{kind:<14} {_RESULTS[_result(check)]:<8} {check.message}{time}"
