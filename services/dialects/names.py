"""The dialects by name, in a module that brings nothing along."""

from typing import Final

DIALECTS: Final = (
    "openai",
    "openai-responses",
    "azure-openai",
    "anthropic",
    "gemini",
    "vertex",
    "bedrock",
    "ollama",
    "cohere",
    "sim",
)
"""Dialects that a configuration can name without a plug-in."""
