"""The Gemini dialect: generateContent and its kin, of the Developer API and of Vertex AI."""

from services.dialects.gemini.codec import GeminiCodec
from services.dialects.gemini.embeddings import EmbeddingShape
from services.dialects.gemini.stream_encode import Framing

__all__ = ["EmbeddingShape", "Framing", "GeminiCodec"]
