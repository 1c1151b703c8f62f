"""How llmhub proves to a provider who it is: headers by dialect."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from services.providers.settings import Account

_SHORTEST_SECRET: Final = 8
"""Shorter values of extra headers are versions and names, which may occur in any text."""


def headers(account: Account) -> dict[str, str]:
    """Return the account's credential and extra headers, names in lower case. Extras win."""
    out: dict[str, str] = {}
    if account.api_key is not None:
        secret = account.api_key.get_secret_value()
        if account.dialect == "anthropic":
            out["x-api-key"] = secret
        else:
            out["authorization"] = f"Bearer {secret}"
    out.update({name.lower(): value.get_secret_value() for name, value in account.headers.items()})
    return out


def eraser(account: Account) -> Callable[[bytes], bytes]:
    """Return what takes the account's secrets out of a provider's words: some quote the key that they refuse."""
    values = [account.api_key] if account.api_key is not None else []
    secrets = {value.get_secret_value() for value in (*values, *account.headers.values())}
    # A header's value may be a scheme and a secret.
    secrets |= {word for secret in secrets for word in secret.split()}
    known = sorted(
        (each.encode() for each in secrets if len(each) >= _SHORTEST_SECRET), key=len, reverse=True
    )
    if not known:
        return lambda data: data
    pattern = re.compile(b"|".join(map(re.escape, known)))
    return lambda data: pattern.sub(b"***", data)
