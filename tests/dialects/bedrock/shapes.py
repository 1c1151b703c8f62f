"""Random bodies that the service's own description allows."""

from __future__ import annotations

import base64
from typing import Any, Final

from hypothesis import strategies as st

from tests.dialects.bedrock import official

_WORDS: Final = st.text(alphabet='abc é{}"\\/', max_size=6)
_PATTERNS: Final = {
    "ToolName": st.sampled_from(["f", "get_it", "a-b"]),
    "ToolUseId": st.sampled_from(["t1", "tooluse_x", "functions.f:0"]),
    "S3Uri": st.sampled_from(["s3://bucket/a.png", "s3://bucket"]),
    "AccountId": st.just("000000000000"),
    "GuardrailIdentifier": st.just("abc"),
    "GuardrailVersion": st.just("DRAFT"),
    "ToolResultBlock.type": st.just("nova_code_interpreter_result"),
    "RequestMetadataValueString": st.sampled_from(["", "team a", "x=1"]),
    "DocumentBlockNameString": st.sampled_from(["Document 1", "a (b)", "x"]),
}
_DOCUMENTS: Final = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-9, 9), st.floats(-2, 2).map(lambda x: round(x, 3)), _WORDS
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(st.sampled_from(["a", "type", "text"]), inner, max_size=2),
    ),
    max_leaves=4,
)
_OBJECTS: Final = st.dictionaries(st.sampled_from(["a", "type", "b"]), _DOCUMENTS, max_size=2)
_ARGUMENTS: Final = {
    "ToolUseBlock.input",
    "ToolInputSchema.json",
    "ConverseRequest.additionalModelRequestFields",
}
_DEEPEST: Final = 9


def instances(operation: str, *, answer: bool = False) -> st.SearchStrategy[Any]:
    """Bodies of requests, or of answers."""
    model = official.service().operation_model(operation)
    return _values(model.output_shape if answer else model.input_shape, "", 0)


def members(shape: str) -> st.SearchStrategy[Any]:
    """Values of one shape of the service."""
    return _values(official.service().shape_for(shape), "", 0)


def _values(shape: Any, where: str, depth: int) -> st.SearchStrategy[Any]:
    known = _PATTERNS.get(where, _PATTERNS.get(shape.name))
    if known is not None:
        return known
    match shape.type_name:
        case "structure" if getattr(shape, "is_document_type", False):
            return (
                _OBJECTS.map(lambda value: {"type": "object", **value}) if where in _ARGUMENTS else _DOCUMENTS
            )
        case "structure":
            return st.deferred(lambda: _structures(shape, depth + 1))
        case "list":
            least = shape.metadata.get("min", 0)
            most = 0 if depth > _DEEPEST and not least else max(least, 2)
            return st.deferred(
                lambda: st.lists(_values(shape.member, "", depth + 1), min_size=least, max_size=most)
            )
        case "map":
            return st.dictionaries(
                st.sampled_from(["a", "b"]), _values(shape.value, "", depth + 1), max_size=2
            )
        case "string":
            least = shape.metadata.get("min", 0)
            return (
                st.sampled_from(shape.enum) if shape.enum else _WORDS.filter(lambda text: len(text) >= least)
            )
        case "blob":
            return st.binary(min_size=1, max_size=5).map(lambda data: base64.b64encode(data).decode())
        case kind:
            return _numbers(kind, max(shape.metadata.get("min", 0), 0))


def _numbers(kind: str, least: int) -> st.SearchStrategy[Any]:
    if kind == "boolean":
        return st.booleans()
    if kind in {"integer", "long"}:
        return st.integers(least, 2**31 - 1)
    assert kind in {"float", "double"}, kind
    return st.floats(0, 1).map(lambda number: round(number, 3))


@st.composite
def _structures(draw: st.DrawFn, shape: Any, depth: int) -> dict[str, Any]:
    names = [name for name, member in shape.members.items() if not member.serialization.get("location")]
    if getattr(shape, "is_tagged_union", False):
        # The first members are the shallow ones; deep inside nothing else is drawn.
        names = [draw(st.sampled_from(names if depth <= _DEEPEST else names[:1]))]
    else:
        optional = [name for name in names if name not in shape.required_members]
        chosen = (
            set(draw(st.lists(st.sampled_from(optional), max_size=3)))
            if optional and depth <= _DEEPEST
            else ()
        )
        names = [name for name in names if name in shape.required_members or name in chosen]
    return {name: draw(_values(shape.members[name], f"{shape.name}.{name}", depth)) for name in names}
