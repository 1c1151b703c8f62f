"""Recordings that tests pass over or treat apart, each with its reason. docs/conformance.md tells them too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

MISFILED: Final[Mapping[str, str]] = {
    "ollama/009-openai-embeddings-embeddings": "Ollama's own embedding path, not OpenAI's"
}
"""Recordings filed under a dialect that they are not of."""

REFUSED: Final[Mapping[str, str]] = {
    "vertex/022-gemini-generatecontent-error-400": "its role is neither user nor model: Google refused it too"
}
"""Requests that are no requests of their dialect, which is what the test of them says."""

_NUMBERS: Final = (
    "an old client asked for numbers instead of enums' names, which the SDK cannot read; the codec can"
)
NUMBERED: Final[Mapping[str, str]] = {
    "vertex/011-gemini-generatecontent-image-input-image-url-input": _NUMBERS,
    "vertex/020-gemini-generatecontent-text-output": _NUMBERS,
}
"""Answers that the official SDK fails on."""

UNTOLD_DETAILS: Final[Mapping[str, str]] = {
    "gemini/027": "through the contract a failure keeps code, message and delay; Google's links and quota ids stay "
    "behind, which pass where it is relayed"
}
"""Failures that are more than the contract holds."""

UNENDED: Final[Mapping[str, str]] = {
    "bedrock/023": "the provider breaks off with an exception; it never counts as a whole answer"
}
"""Streams that end with a failure."""

_OTHERS: Final = "InvokeModel with the words of a model other than Claude: those are called by Converse"
NOT_CLAUDE: Final[Mapping[str, str]] = dict.fromkeys(
    ("bedrock/043", "bedrock/045", "bedrock/047", "bedrock/050"), _OTHERS
)
"""Exchanges of InvokeModel that are not in Anthropic's words."""

SEVERAL: Final[Mapping[str, str]] = {
    "azure_openai/016": "four streams of one conversation in one recording; each is tested by itself"
}
"""Recordings of more than one answer."""
