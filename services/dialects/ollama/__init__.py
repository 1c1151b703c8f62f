"""Ollama's own API: chat and embeddings."""

from services.dialects.ollama.codec import OllamaCodec

__all__ = ["OllamaCodec"]
