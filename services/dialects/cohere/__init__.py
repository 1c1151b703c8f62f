"""Cohere's API v2: chat and embeddings."""

from services.dialects.cohere.codec import CohereCodec

__all__ = ["CohereCodec"]
