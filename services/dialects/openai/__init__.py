"""OpenAI Chat Completions and Embeddings, as OpenAI and the many compatible servers speak them."""

from services.dialects.openai.codec import OpenAICodec
from services.dialects.openai.profile import OPENAI, PROFILES, Profile, profile_for

__all__ = ["OPENAI", "PROFILES", "OpenAICodec", "Profile", "profile_for"]
