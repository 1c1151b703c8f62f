"""The codecs of an account, imported when there is an account that needs them."""

from __future__ import annotations

from typing import Final

from services.dialects.openai.profile import PROFILES, Profile, profile_for
from services.providers.adapters.dialect import Tongue
from services.providers.settings import Account

CODECS: Final = frozenset({"anthropic", "openai", "cohere"})
"""Codecs that there are."""


def tongue(codec: str, account: Account) -> Tongue:
    """Return the codecs of a dialect as the account's server takes it."""
    match codec:
        case "anthropic":
            from services.dialects.anthropic import AnthropicCodec

            anthropic = AnthropicCodec()
            return Tongue(anthropic, count=anthropic)
        case "openai":
            from services.dialects.openai import OpenAICodec

            openai = OpenAICodec(_profile(account))
            return Tongue(openai, embedding=openai)
        case "cohere":
            from services.dialects.cohere import CohereCodec

            cohere = CohereCodec()
            return Tongue(cohere, embedding=cohere)
        case _:
            message = f"there is no codec {codec}"
            raise ValueError(message)


def _profile(account: Account) -> Profile:
    return PROFILES[account.profile] if account.profile else profile_for(account.base_url)
