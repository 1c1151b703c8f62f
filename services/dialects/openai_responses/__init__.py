"""OpenAI's Responses, with the servers that offer them too."""

from services.dialects.openai_responses.codec import ResponsesCodec

__all__ = ["ResponsesCodec"]
