"""Words, holes and ids of the Responses wire format."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from llmhub.types.v1.content_pb2 import Role

DIALECT: Final = "openai-responses"
RESPONSES_PATH: Final = "/responses"
INPUT_TOKENS_PATH: Final = "/responses/input_tokens"
RESPONSE: Final = "response"

HOLE: Final = "\0"
"""Stands in a kept object where a typed value stood."""
JSON_HOLE: Final = "\0json"
"""As HOLE, for a string's value that was written as JSON."""

ITEM: Final = "item"
"""Hint on the first part of an item: the item, with holes. Without it a part is written as any other dialect's."""
SAME: Final = "same"
"""Hint on a part that continues the item of the part before."""
NONE: Final = "none"
"""Hint on a part that stands for an item without content."""
ITEM_REST: Final = "$item"
"""Member of the first part's extension: members of the item that nobody here knows."""

ENCRYPTED: Final = "encrypted_content"
LOGPROBS: Final = "message.output_text.logprobs"
ENCRYPTED_REASONING: Final = "reasoning.encrypted_content"

ROLES: Final = {
    "system": Role.ROLE_SYSTEM,
    "developer": Role.ROLE_DEVELOPER,
    "user": Role.ROLE_USER,
    "assistant": Role.ROLE_ASSISTANT,
}
ROLE_WORDS: Final = {
    Role.ROLE_UNSPECIFIED: "user",
    Role.ROLE_SYSTEM: "system",
    Role.ROLE_DEVELOPER: "developer",
    Role.ROLE_USER: "user",
    Role.ROLE_ASSISTANT: "assistant",
    Role.ROLE_TOOL: "user",
}

CALLS: Final = {"function_call": "arguments", "custom_tool_call": "input"}
"""Items that are calls of the caller's own tools, with the member that holds the arguments."""
OUTPUTS: Final = frozenset({"function_call_output", "custom_tool_call_output"})
WAITING: Final = frozenset({"computer_call", "local_shell_call", "apply_patch_call", "mcp_approval_request"})
"""Items after which the model waits for the caller."""

LONGEST_CALL_ID: Final = 64
_MADE: Final = re.compile(r"[a-z]+_hub[0-9a-f]{28}")


def response_id_of(response_id: str, request_id: str = "") -> str:
    """The id of a response in this dialect's form: the given one if it has it, else one made from it."""
    if response_id.startswith("resp_"):
        return response_id
    return f"resp_hub{_digest(response_id or request_id)[:28]}"


def made_id(prefix: str, response_id: str, number: int) -> str:
    """An item's id, the same for the same response and number."""
    return f"{prefix}_hub{_digest(response_id)[:24]}{number & 0xFFFF:04x}"


def is_made(item_id: object) -> bool:
    """Whether an id was made by made_id: no provider knows it."""
    return isinstance(item_id, str) and _MADE.fullmatch(item_id) is not None


def short_call_id(call_id: str) -> str:
    """The id in a length that the vendor takes; the same for the call and for its result."""
    if len(call_id) <= LONGEST_CALL_ID:
        return call_id
    return f"call_{_digest(call_id)[:32]}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
