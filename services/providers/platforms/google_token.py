"""Tokens of Google Cloud, by a credentials file; the cryptography is google-auth's."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from services.providers.platforms.tokens import Token, fetch_oauth
from services.providers.ports import Transport
from services.runtime.errors import ProviderNotConfigured

_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
_TOKEN_URL: Final = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LIFE: Final = 3600


async def google_token(provider: str, credentials_file: str, transport: Transport) -> Token:
    """Get a token for a service account or a user. Raises ProviderNotConfigured for a file that is neither's.

    The file is read anew each time, so that a rotated key is taken without a restart.
    """
    url, form = await asyncio.to_thread(_question, provider, credentials_file)
    return await fetch_oauth(provider, transport, url, form)


def _question(provider: str, credentials_file: str) -> tuple[str, bytes]:
    """Return where to ask for a token, and the form to send."""
    try:
        told: Any = json.loads(Path(credentials_file).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise _unusable(provider, credentials_file, f"cannot be read ({type(error).__name__})") from None
    kind = told.get("type") if isinstance(told, dict) else None
    try:
        if kind == "service_account":
            return _assertion(told)
        if kind == "authorized_user":
            form = {name: str(told[name]) for name in ("client_id", "client_secret", "refresh_token")}
            form["grant_type"] = "refresh_token"
            return str(told.get("token_uri") or _TOKEN_URL), urlencode(form).encode()
    except Exception:  # noqa: BLE001 - a key can be wrong in as many ways as the cryptography knows
        raise _unusable(provider, credentials_file, f"is no whole {kind} file") from None
    raise _unusable(provider, credentials_file, "is no service account's key and no user's credentials")


def _assertion(told: dict[str, Any]) -> tuple[str, bytes]:
    """A service account says who it is by a JWT that it signs."""
    from google.auth import crypt, jwt  # noqa: PLC0415 - only where there is such an account

    url = str(told.get("token_uri") or _TOKEN_URL)
    now = int(time.time())
    claims = {
        "iss": str(told["client_email"]),
        "scope": _SCOPE,
        "aud": url,
        "iat": now,
        "exp": now + _LIFE,
    }
    signer = crypt.RSASigner.from_service_account_info(told)  # type: ignore[no-untyped-call]
    assertion: bytes = jwt.encode(signer, claims)  # type: ignore[no-untyped-call]
    form = {"grant_type": _GRANT, "assertion": assertion.decode()}
    return url, urlencode(form).encode()


def _unusable(provider: str, file: str, why: str) -> ProviderNotConfigured:
    return ProviderNotConfigured(f"provider {provider} is not configured: {file} {why}", provider=provider)
