"""The codecs of an account, imported when there is an account that needs them."""

from __future__ import annotations

from services.dialects.openai.profile import AZURE, PROFILES, Profile, profile_for
from services.providers.adapters.dialect import Tongue
from services.providers.settings import Account


def tongue(codec: str, account: Account) -> Tongue:
    """Return the codecs of a dialect as the account's server takes it. Raises ValueError for an unknown codec."""
    match codec:
        case "anthropic":
            from services.dialects.anthropic import AnthropicCodec

            anthropic = AnthropicCodec()
            return Tongue(anthropic, count=anthropic)
        case "openai":
            from services.dialects.openai import OpenAICodec

            openai = OpenAICodec(_profile(account))
            return Tongue(openai, embedding=openai)
        case "openai-responses":
            from services.dialects.openai_responses import ResponsesCodec

            responses = ResponsesCodec()
            # Embeddings are OpenAI's own, whatever generations are translated to.
            return Tongue(responses, count=responses, embedding=tongue("openai", account).embedding)
        case "gemini":
            from services.dialects.gemini import GeminiCodec

            gemini = GeminiCodec()
            return Tongue(gemini, count=gemini, embedding=gemini)
        case "bedrock":
            from services.dialects.bedrock import BedrockCodec

            bedrock = BedrockCodec()
            return Tongue(bedrock, count=bedrock)
        case "cohere":
            from services.dialects.cohere import CohereCodec

            cohere = CohereCodec()
            return Tongue(cohere, embedding=cohere)
        case "ollama":
            from services.dialects.ollama import OllamaCodec

            ollama = OllamaCodec()
            return Tongue(ollama, embedding=ollama)
        case _:
            message = f"there is no codec {codec}"
            raise ValueError(message)


def _profile(account: Account) -> Profile:
    if account.dialect == "azure-openai":
        return AZURE
    return PROFILES[account.profile] if account.profile else profile_for(account.base_url)
