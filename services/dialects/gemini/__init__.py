"""The Gemini dialect: generateContent and its kin, of the Developer API and of Vertex AI."""

from services.dialects.gemini.codec import GeminiCodec

__all__ = ["GeminiCodec"]
