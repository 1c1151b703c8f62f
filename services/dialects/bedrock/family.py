"""What the families of models behind Bedrock's one API take, told by the model's id.

An ARN of an application profile or of a custom model names no family: such a model is taken to know what the API
documents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Family:
    """How one family spells what Converse has no member for, and what it takes of what it has one for."""

    name: str
    effort: Literal["", "output", "nova", "flat", "nested"] = ""
    """outputConfig.effort, or an additional field: reasoningConfig, reasoning_effort, reasoning.effort."""
    thinking: bool = False
    """Takes Anthropic's `thinking`."""
    top_k: Literal["", "flat", "nova", "cohere"] = ""
    """An additional field: top_k, inferenceConfig.topK, k."""
    structured: Literal["native", "tool", "words"] = "words"
    """outputConfig.textFormat, a function that must be called, or an instruction."""
    single_call: bool = False
    """Takes Anthropic's disable_parallel_tool_use."""


_CLAUDE: Final = Family(
    "Claude", "output", thinking=True, top_k="flat", structured="native", single_call=True
)
_BUDGETED_CLAUDE: Final = Family("Claude", thinking=True, top_k="flat", structured="tool", single_call=True)
_CLAUDE_3: Final = Family("Claude", top_k="flat", structured="tool", single_call=True)
_FIRST_CLAUDE: Final = Family("Claude", top_k="flat")
_NOVA: Final = Family("Nova", top_k="nova", structured="tool")
_NOVA_2: Final = Family("Nova", "nova", top_k="nova", structured="tool")
_OPEN: Final = Family("open-weight models", structured="native")
_OPEN_REASONING: Final = Family("open-weight models", "flat", structured="native")
_PLAIN: Final = Family("these models")

_BY_PART_OF_ID: Final = (
    ("claude-v2", _FIRST_CLAUDE),
    ("claude-instant", _FIRST_CLAUDE),
    ("claude-3-7", _BUDGETED_CLAUDE),
    ("claude-3", _CLAUDE_3),
    ("claude-sonnet-4-2025", _BUDGETED_CLAUDE),
    ("claude-opus-4-2025", _BUDGETED_CLAUDE),
    ("claude-opus-4-1-", _BUDGETED_CLAUDE),
    ("anthropic.", _CLAUDE),
    ("amazon.nova-2", _NOVA_2),
    ("amazon.nova", _NOVA),
    ("openai.gpt-oss", _OPEN_REASONING),
    ("openai.", Family("GPT", "nested", structured="native")),
    ("moonshot", _OPEN_REASONING),
    ("mistral-7b", _PLAIN),
    ("mixtral", _PLAIN),
    ("mistral-large-24", _PLAIN),
    ("mistral-small-24", _PLAIN),
    ("pixtral", _PLAIN),
    ("amazon.titan", _PLAIN),
    ("meta.llama", _PLAIN),
    ("cohere.", Family("Cohere", top_k="cohere")),
    ("ai21.", _PLAIN),
    ("writer.", _PLAIN),
    ("mistral.", _OPEN),
    ("qwen.", _OPEN),
    ("deepseek.", _OPEN),
    ("google.gemma", _OPEN),
    ("nvidia.", _OPEN),
    ("minimax.", _OPEN),
    ("zai.", _OPEN),
)
_UNKNOWN: Final = Family("this model", "output", structured="native")


def family_of(model: str) -> Family:
    """The family of a model id, an inference profile or an ARN."""
    lowered = model.lower()
    return next((family for part, family in _BY_PART_OF_ID if part in lowered), _UNKNOWN)
