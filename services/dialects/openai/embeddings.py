"""Embeddings, in both directions."""

from __future__ import annotations

from typing import Any, Final

from llmhub.embedding.v1.embedding_service_pb2 import (
    EmbeddingEncoding,
    EmbedRequest,
    EmbedResponse,
)
from llmhub.types.v1.generation_pb2 import Warning as LossWarning
from llmhub.types.v1.generation_pb2 import WarningKind
from services.dialects.codec import WireRequest
from services.dialects.data_urls import decode_base64, encode_base64
from services.dialects.members import (
    Extension,
    JsonObject,
    Members,
    answer_object,
    encode_json,
    foreign_members,
    plain_number,
    request_object,
)
from services.dialects.openai.errors import error_in_answer
from services.dialects.openai.usage import decode_usage, encode_usage, usage_text
from services.dialects.openai.wire import DIALECT, EMBEDDINGS_PATH, HOLE
from services.runtime.errors import RequestInvalid, UpstreamProtocol, Violation

_FORMATS: Final = {
    "float": EmbeddingEncoding.EMBEDDING_ENCODING_FLOAT,
    "base64": EmbeddingEncoding.EMBEDDING_ENCODING_BYTES,
}
_FORMAT_WORDS: Final = {value: name for name, value in _FORMATS.items()}
_END_USERS: Final = ("user", "safety_identifier")
_FAULT: Final = "must be a string, an array of strings, an array of token ids, or an array of such arrays"


def decode_embed_request(body: bytes) -> EmbedRequest:
    """Read a body; raise RequestInvalid with a violation for each fault."""
    faults: list[Violation] = []
    members = Members(request_object(body), "", faults)
    request = EmbedRequest()
    model = members.word("model")
    if model is None:
        members.fault("model", "must be a string that is not empty")
    else:
        request.model = model
    if not _decode_input(members, request):
        members.fault("input", _FAULT)
    dimensions = members.integer("dimensions", 31)
    if dimensions is not None:
        request.dimensions = dimensions
        if dimensions < 1:
            members.fault("dimensions", "must be positive")
    word = members.rest.get("encoding_format")
    if isinstance(word, str) and word in _FORMATS:
        request.encoding = _FORMATS[word]
        del members.rest["encoding_format"]
    for name in _END_USERS:
        user = members.word(name)
        if user is not None:
            request.end_user_id = user
            members.hint("end_user", name)
            break
    if faults:
        raise RequestInvalid(f"{faults[0].field}: {faults[0].message}", violations=tuple(faults))
    members.save(request.extensions, DIALECT)
    return request


def _decode_input(members: Members, request: EmbedRequest) -> bool:
    value = members.rest.pop("input", None)
    if isinstance(value, str):
        members.hint("input", "string")
        request.inputs.add().text = value
        return True
    if not isinstance(value, list) or not value:
        return False
    if _are_tokens(value):
        members.hint("input", "tokens")
        request.inputs.add().tokens.ids.extend(value)
        return True
    for each in value:
        if isinstance(each, str):
            request.inputs.add().text = each
        elif isinstance(each, list) and each and _are_tokens(each):
            request.inputs.add().tokens.ids.extend(each)
        else:
            return False
    return True


def _are_tokens(value: list[Any]) -> bool:
    return all(type(each) is int and 0 <= each < 1 << 62 for each in value)


def encode_embed_request(request: EmbedRequest, model: str) -> WireRequest:
    """Write a request."""
    extension = Extension(request.extensions, DIALECT)
    inputs: list[Any] = [
        each.text if each.WhichOneof("kind") == "text" else list(each.tokens.ids) for each in request.inputs
    ]
    single = len(inputs) == 1 and "input" in extension.shape
    body: JsonObject = {"model": model, "input": inputs[0] if single else inputs}
    if request.HasField("dimensions"):
        body["dimensions"] = request.dimensions
    word = _FORMAT_WORDS.get(request.encoding)
    if word is not None:
        body["encoding_format"] = word
    if request.end_user_id:
        name = extension.shape.get("end_user")
        body[name if name in _END_USERS else "user"] = request.end_user_id
    warnings = tuple(
        LossWarning(
            kind=WarningKind.WARNING_KIND_DROPPED,
            field=f"extensions[{other}]",
            message=f"{', '.join(names)}: known to the dialect {other} only",
        )
        for other, names in foreign_members(request.extensions, DIALECT)
    )
    return WireRequest(EMBEDDINGS_PATH, encode_json(extension.merge(body)), warnings=warnings)


def decode_embed_response(body: bytes) -> EmbedResponse:
    """Read an answer; raise UpstreamProtocol for what is none, or the error that it carries."""
    value = answer_object(body)
    data = value.pop("data", None)
    if not isinstance(data, list):
        raise error_in_answer(value) or UpstreamProtocol("the provider's answer has no embeddings")
    members = Members(value)
    if value.get("object") == "list":
        del value["object"]
    else:
        members.hint("object")
    response = EmbedResponse(provider_model=members.word("model") or "")
    usage = value.get("usage")
    if isinstance(usage, dict):
        response.usage.CopyFrom(decode_usage(usage, usage_text(body)))
        value["usage"] = HOLE
    for number, each in enumerate(data):
        if not isinstance(each, dict):
            raise UpstreamProtocol("the provider's answer has an embedding that is no object")
        _decode_embedding(Members(each), response, number)
    members.save(response.extensions, DIALECT)
    return response


def _decode_embedding(members: Members, response: EmbedResponse, number: int) -> None:
    embedding = response.embeddings.add()
    index = members.integer("index", 31)
    if index is None:
        members.hint("unnumbered")
    embedding.index = number if index is None else index
    if members.rest.get("object") == "embedding":
        del members.rest["object"]
    else:
        members.hint("object")
    vector = members.rest.get("embedding")
    if isinstance(vector, str) and (data := decode_base64(vector)) is not None:
        embedding.float32_le = data
    elif isinstance(vector, list) and all(type(each) in {int, float} for each in vector):
        try:
            embedding.floats.values.extend(vector)
        except (OverflowError, TypeError):
            raise UpstreamProtocol("the provider's answer has a vector of impossible numbers") from None
        embedding.floats.SetInParent()
    else:
        raise UpstreamProtocol("the provider's answer has an embedding without a vector")
    del members.rest["embedding"]
    members.save(embedding.extensions, DIALECT)


def encode_embed_response(response: EmbedResponse) -> bytes:
    """Write an answer."""
    native = DIALECT in response.extensions
    extension = Extension(response.extensions, DIALECT)
    value: JsonObject = {
        "object": "list",
        "data": [_encode_embedding(each) for each in response.embeddings],
        "model": response.provider_model or response.model,
    }
    if "object" in extension.shape:
        del value["object"]
    if native and not response.provider_model:
        del value["model"]
    told = extension.members.pop("usage", None) if extension.members.get("usage") == HOLE else None
    if response.HasField("usage"):
        value["usage"] = encode_usage(response.usage, embedding=True)
    elif not native or told is not None:
        value["usage"] = {"prompt_tokens": 0, "total_tokens": 0}
    return encode_json(extension.merge(value))


def _encode_embedding(embedding: Any) -> JsonObject:
    extension = Extension(embedding.extensions, DIALECT)
    value: JsonObject = {"object": "embedding", "index": embedding.index}
    if "object" in extension.shape:
        del value["object"]
    if "unnumbered" in extension.shape:
        del value["index"]
    if embedding.WhichOneof("vector") == "float32_le":
        value["embedding"] = encode_base64(embedding.float32_le)
    else:
        value["embedding"] = [plain_number(each) for each in embedding.floats.values]
    return extension.merge(value)
