"""Acme, a made-up provider: its API takes one prompt and answers with text, whole or line by line."""

from llmhub_acme.adapter import acme

__all__ = ["acme"]
