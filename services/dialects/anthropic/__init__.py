"""Anthropic's Messages API: messages and count_tokens."""

from services.dialects.anthropic.codec import AnthropicCodec

__all__ = ["AnthropicCodec"]
