"""Gemini's JSON: its names in two spellings, and objects of which some members stay text."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from llmhub.types.v1.content_pb2 import OpaqueState
from services.dialects.members import Extension, JsonObject, Members, decode_json
from services.runtime.errors import RequestInvalid, Violation

DIALECT: Final = "gemini"
SIGNATURE: Final = "thought_signature"


SNAKE: Final = "snake"
"""Hint: which members were spelled with underscores; the API takes both spellings."""

_SPELLED: Final = frozenset(
    {
        "systemInstruction",
        "toolConfig",
        "generationConfig",
        "safetySettings",
        "cachedContent",
        "serviceTier",
        "generateContentRequest",
        "inlineData",
        "fileData",
        "functionCall",
        "functionResponse",
        "executableCode",
        "codeExecutionResult",
        "toolCall",
        "toolResponse",
        "thoughtSignature",
        "videoMetadata",
        "mediaResolution",
        "mimeType",
        "fileUri",
        "displayName",
        "functionDeclarations",
        "parametersJsonSchema",
        "responseJsonSchema",
        "functionCallingConfig",
        "allowedFunctionNames",
        "maxOutputTokens",
        "topK",
        "topP",
        "stopSequences",
        "candidateCount",
        "presencePenalty",
        "frequencyPenalty",
        "responseLogprobs",
        "responseModalities",
        "responseMimeType",
        "responseSchema",
        "thinkingConfig",
        "includeThoughts",
        "thinkingBudget",
        "thinkingLevel",
        "taskType",
        "outputDimensionality",
    }
)
_UNDERSCORE: Final = re.compile(r"_([a-z])")
_WORD: Final = re.compile(r"([A-Z])")
_members_of = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_elements_of = msgspec.json.Decoder(list[msgspec.Raw]).decode


def object_keeping(data: bytes | msgspec.Raw, *names: str) -> JsonObject:
    """Read an object, leaving the named members as msgspec.Raw in either spelling; raise ValueError otherwise."""
    try:
        members: dict[str, Any] = _members_of(data)
        for name, raw in members.items():
            if name not in names and ("_" not in name or camel(name) not in names):
                members[name] = decode_json(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from None
    return members


def elements(data: bytes | msgspec.Raw) -> list[msgspec.Raw]:
    """Read an array, leaving its elements as they are; raise ValueError for anything else."""
    try:
        return _elements_of(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from None


def caller_json(text: str, field: str) -> tuple[msgspec.Raw, Any]:
    """JSON text that a caller wrote into a field, and its value; raise RequestInvalid for anything else."""
    try:
        return msgspec.Raw(text), decode_json(text)
    except ValueError:
        fault = "must be the text of a JSON value"
        raise RequestInvalid(f"{field} {fault}", violations=(Violation(field, fault),)) from None


def raw_text(raw: msgspec.Raw) -> str:
    """The JSON text of a member, to the letter."""
    return str(raw, "utf-8")


def opens(raw: msgspec.Raw, bracket: bytes) -> bool:
    """Tell whether a raw value begins with this byte: `{` an object, `[` an array, `n` null."""
    return bytes(memoryview(raw)[:1]) == bracket


def take_raw(members: Members, name: str) -> msgspec.Raw | None:
    """Take a member that was left as text; None if it is missing, and if it is null, which stays."""
    raw = members.rest.get(name)
    if type(raw) is not msgspec.Raw or opens(raw, b"n"):
        return None
    del members.rest[name]
    return raw


def camel(name: str) -> str:
    """A name in Gemini's first spelling."""
    return _UNDERSCORE.sub(lambda match: match[1].upper(), name)


def canonical(value: JsonObject, spelled: list[str], prefix: str = "") -> JsonObject:
    """Rename the known members that are spelled with underscores; their paths are added to `spelled`."""
    for name in [name for name in value if "_" in name]:
        known = camel(name)
        if known in _SPELLED and known not in value:
            value[known] = value.pop(name)
            spelled.append(prefix + known)
    return value


def respell(value: JsonObject, spelled: object) -> JsonObject:
    """Undo `canonical`, as far as the members are there."""
    if not isinstance(spelled, list):
        return value
    for path in sorted(
        (each for each in spelled if isinstance(each, str)), key=lambda each: -each.count(".")
    ):
        *parents, name = path.split(".")
        owner: Any = value
        for parent in parents:
            owner = owner.get(parent) if isinstance(owner, dict) else None
        if isinstance(owner, dict) and name in owner:
            owner[_WORD.sub(lambda match: f"_{match[1].lower()}", name)] = owner.pop(name)
    return value


def save_spelling(members: Members, spelled: list[str]) -> None:
    """Keep the spelling as a hint."""
    if spelled:
        members.hint(SNAKE, spelled)


def put_back(members: Members, name: str, inner: JsonObject, *, empty: bool = False) -> None:
    """Leave what was not taken of an inner object where it was; with `empty`, also if nothing is left."""
    if inner or empty:
        members.rest[name] = inner


def merge_back(into: JsonObject, extension: Extension) -> JsonObject:
    """Add what the extension carries and `into` does not have, at every level, in the caller's spelling."""
    _merge(into, extension.members)
    return respell(into, extension.shape.get(SNAKE))


def signature_state(signature: str) -> OpaqueState:
    """The state that a thought signature is: its text, since two spellings of base64 are in use."""
    return OpaqueState(data=signature.encode(), dialect=DIALECT, kind=SIGNATURE)


def own_signature(state: OpaqueState) -> str | None:
    """The text of a signature that this dialect made, or None."""
    if state.dialect != DIALECT or state.kind != SIGNATURE:
        return None
    return state.data.decode("utf-8", "replace")


def _merge(into: JsonObject, extra: JsonObject) -> None:
    for name, value in extra.items():
        mine = into.get(name)
        if name not in into:
            into[name] = value
        elif type(mine) is dict and type(value) is dict:
            _merge(mine, value)
