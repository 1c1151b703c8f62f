"""How llmhub proves to a provider who it is: headers by dialect."""

from __future__ import annotations

from services.providers.settings import Account


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
