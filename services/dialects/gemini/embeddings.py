"""Embeddings, in the three shapes they have: embedContent, batchEmbedContents, and Vertex's predict."""

from __future__ import annotations

import math
from enum import Enum
from typing import Any, Final

from llmhub.embedding.v1.embedding_service_pb2 import Embedding, EmbedRequest, EmbedResponse
from llmhub.types.v1.generation_pb2 import Warning as LossWarning
from llmhub.types.v1.generation_pb2 import WarningKind
from llmhub.types.v1.usage_pb2 import MEASURE_VENDOR, Usage
from services.dialects.codec import WireRequest
from services.dialects.gemini.errors import error_of
from services.dialects.gemini.paths import method_path, resource
from services.dialects.gemini.wire import DIALECT, canonical, merge_back, respell, save_spelling
from services.dialects.members import (
    Extension,
    JsonObject,
    Members,
    answer_object,
    decode_json,
    encode_json,
    foreign_members,
    json_text,
    plain_number,
    request_object,
)
from services.runtime.errors import RequestInvalid, UpstreamProtocol, Violation


class EmbeddingShape(Enum):
    """How embeddings are asked for and answered."""

    SINGLE = "embedContent"
    BATCH = "batchEmbedContents"
    PREDICT = "predict"


_MOST: Final = 4096
_SHAPE: Final = "embed"
"""Hint: the shape of the body."""
_EACH: Final = "each"
"""Hint: what each of several requests says beside its text; null for nothing."""
_PARTS: Final = "parts"


def decode_embed_request(body: bytes) -> EmbedRequest:
    """Read a body of any of the shapes; raise RequestInvalid with a violation for each fault."""
    value = request_object(body)
    faults: list[Violation] = []
    members = Members(value, "", faults)
    request = EmbedRequest()
    spelled: list[str] = []
    if isinstance(batch := value.get("requests"), list):
        shape = EmbeddingShape.BATCH
        del value["requests"]
        _read_each(members, batch, "requests", request)
    elif isinstance(batch := value.get("instances"), list):
        shape = EmbeddingShape.PREDICT
        del value["instances"]
        _read_each(members, batch, "instances", request)
        parameters = members.rest.get("parameters")
        if isinstance(parameters, dict):
            _read_dimensions(Members(parameters, "parameters", faults), request)
    else:
        shape = EmbeddingShape.SINGLE
        canonical(value, spelled)
        _read_one(members, request, "content")
        value.pop("model", None)
        _read_dimensions(members, request)
    members.hint(_SHAPE, shape.value)
    save_spelling(members, spelled)
    if not request.inputs and not faults:
        members.fault("content", "is required")
    if faults:
        raise RequestInvalid(f"{faults[0].field}: {faults[0].message}", violations=tuple(faults))
    members.save(request.extensions, DIALECT)
    return request


def encode_embed_request(request: EmbedRequest, model: str, wanted: EmbeddingShape | None) -> WireRequest:
    """Write a request in the shape it came in, else in the wanted one."""
    shape = wanted or EmbeddingShape.BATCH
    extension = Extension(request.extensions, DIALECT)
    own = extension.shape.get(_SHAPE)
    if own in {each.value for each in EmbeddingShape}:
        shape = EmbeddingShape(own)
    elif shape is EmbeddingShape.SINGLE and len(request.inputs) != 1:
        shape = EmbeddingShape.BATCH
    texts = [_text(each, index) for index, each in enumerate(request.inputs)]
    each = extension.shape.get(_EACH)
    rests: list[Any] = each if isinstance(each, list) and len(each) == len(texts) else [None] * len(texts)
    body: JsonObject
    match shape:
        case EmbeddingShape.SINGLE:
            parts = extension.shape.get(_PARTS)
            body = {"content": {"parts": parts if isinstance(parts, list) else [{"text": texts[0]}]}}
            _put_dimensions(body, request)
        case EmbeddingShape.BATCH:
            body = {"requests": [_batched(*one, request, model) for one in zip(texts, rests, strict=True)]}
        case EmbeddingShape.PREDICT:
            body = {"instances": [_instance(*one) for one in zip(texts, rests, strict=True)]}
            parameters = extension.members.pop("parameters", None)
            own_parameters = dict(parameters) if isinstance(parameters, dict) else {}
            _put_dimensions(own_parameters, request)
            if own_parameters or parameters is not None:
                body["parameters"] = own_parameters
    headers = {"content-type": "application/json"}
    path = method_path(model, shape.value)
    return WireRequest(path, encode_json(merge_back(body, extension)), headers, _losses(request))


def decode_embed_response(body: bytes) -> EmbedResponse:
    """Read an answer of any of the shapes; raise UpstreamProtocol for what is none, or the error in it."""
    value = answer_object(body)
    if "error" in value:
        raise error_of(200, {}, body)
    members = Members(value)
    response = EmbedResponse()
    if isinstance(found := value.get("embeddings"), list):
        shape = EmbeddingShape.BATCH
        del value["embeddings"]
    elif isinstance(one := value.get("embedding"), dict):
        shape, found = EmbeddingShape.SINGLE, [one]
        del value["embedding"]
    elif isinstance(found := value.get("predictions"), list):
        shape = EmbeddingShape.PREDICT
        del value["predictions"]
        _read_statistics(found, response.usage)
    else:
        raise UpstreamProtocol("the provider's answer has no embeddings")
    for number, each in enumerate(found):
        _read_vector(each, response.embeddings.add(), number, shape)
    members.hint(_SHAPE, shape.value)
    usage = value.get("usageMetadata")
    if (
        isinstance(usage, dict)
        and type(tokens := usage.get("promptTokenCount")) is int
        and 0 <= tokens < 1 << 62
    ):
        response.usage.input_tokens = tokens
        response.usage.measure = MEASURE_VENDOR
        response.usage.provider_json = json_text(usage)
        members.hint("usage")
        del value["usageMetadata"]
    members.save(response.extensions, DIALECT)
    return response


def encode_embed_response(response: EmbedResponse, wanted: EmbeddingShape | None) -> bytes:
    """Write an answer in the wanted shape, else in the one it came in."""
    extension = Extension(response.extensions, DIALECT)
    own = extension.shape.get(_SHAPE)
    came = EmbeddingShape(own) if own in {each.value for each in EmbeddingShape} else None
    shape = wanted or came or EmbeddingShape.BATCH
    if came is not shape:
        # What the other shape says beside the vectors has no place in this one.
        extension, own = Extension({}, DIALECT), None
    vectors = [_vector(each) for each in response.embeddings]
    body: JsonObject
    match shape:
        case EmbeddingShape.SINGLE:
            body = {"embedding": vectors[0] if vectors else {"values": []}}
        case EmbeddingShape.BATCH:
            body = {"embeddings": vectors}
        case EmbeddingShape.PREDICT:
            body = {
                "predictions": [_prediction(*each) for each in zip(vectors, response.embeddings, strict=True)]
            }
    if own is None and response.HasField("usage") and shape is not EmbeddingShape.PREDICT:
        body["usageMetadata"] = {"promptTokenCount": response.usage.input_tokens}
    elif "usage" in extension.shape:
        body["usageMetadata"] = _own_usage(response.usage)
    return encode_json(extension.merge(body))


def _read_each(members: Members, batch: list[Any], name: str, request: EmbedRequest) -> None:
    """Read several requests or instances; what they say beside their text is kept one by one."""
    if len(batch) > _MOST:
        members.fault(name, f"must hold at most {_MOST} inputs")
        return
    rests: list[JsonObject] = []
    for index, each in enumerate(batch):
        one = Members(_spelled_alike(each, name) if isinstance(each, dict) else {})
        text = one.text("content") if name == "instances" else _request_text(one)
        if text is None:
            members.fault(f"{name}[{index}].content", "must be one text")
            return
        request.inputs.add().text = text
        if name == "requests":
            one.rest.pop("model", None)
        rests.append(one.rest)
    if name == "requests":
        _read_common_dimensions(rests, request)
    if any(rests):
        members.hint(_EACH, [rest or None for rest in rests])


def _request_text(one: Members) -> str | None:
    """Take a request's text; the role that Google's SDK adds is kept beside it."""
    content = one.mapping("content")
    role = content.pop("role", None) if content is not None else None
    if role is not None:
        one.rest["content"] = {"role": role}
    return _content_text(content)


def _spelled_alike(value: JsonObject, name: str) -> JsonObject:
    """One of several requests, in the first spelling as far as it is taken apart."""
    if name == "instances":
        return value
    spelled: list[str] = []
    canonical(value, spelled)
    return respell(value, [each for each in spelled if each != "outputDimensionality"])


def _read_common_dimensions(rests: list[JsonObject], request: EmbedRequest) -> None:
    lengths = {json_text(rest.get("outputDimensionality")) for rest in rests}
    if len(lengths) == 1 and "null" not in lengths:
        _read_dimensions(Members({**rests[0]}), request)
    if request.HasField("dimensions"):
        for rest in rests:
            del rest["outputDimensionality"]


def _read_one(members: Members, request: EmbedRequest, name: str) -> None:
    content = members.mapping(name)
    if content is None:
        return
    text = _content_text(dict(content))
    if text is None:
        parts = content.get("parts")
        texts: list[Any] = [part.get("text") if isinstance(part, dict) else None for part in _list(parts)]
        if not texts or not all(type(each) is str for each in texts):
            members.fault(name, "must be text: llmhub embeds nothing else for other providers")
            return
        text = "".join(texts)
        members.hint(_PARTS, content.pop("parts"))
        if content:
            members.rest[name] = content
    request.inputs.add().text = text


def _content_text(content: JsonObject | None) -> str | None:
    """The text of a content that is nothing else; None for any other."""
    parts = content.get("parts") if content is not None and len(content) == 1 else None
    if isinstance(parts, list) and len(parts) == 1 and isinstance(parts[0], dict) and len(parts[0]) == 1:
        text = parts[0].get("text")
        return text if type(text) is str else None
    return None


def _read_dimensions(members: Members, request: EmbedRequest) -> None:
    length = members.integer("outputDimensionality", 31)
    if length is not None and length > 0:
        request.dimensions = length
    elif length is not None:
        members.fault("outputDimensionality", "must be positive")


def _put_dimensions(body: JsonObject, request: EmbedRequest) -> None:
    if request.HasField("dimensions"):
        body["outputDimensionality"] = request.dimensions


def _text(value: Any, index: int) -> str:
    if value.WhichOneof("kind") == "tokens":
        where = f"inputs[{index}].tokens"
        fault = "Gemini embeds text, not token ids"
        raise RequestInvalid(fault, violations=(Violation(where, fault),))
    text: str = value.text
    return text


def _batched(text: str, rest: Any, request: EmbedRequest, model: str) -> JsonObject:
    kept: JsonObject = dict(rest) if isinstance(rest, dict) else {}
    content = kept.get("content")
    own = content if isinstance(content, dict) else {}
    one: JsonObject = {"model": resource(model), "content": {**own, "parts": [{"text": text}]}}
    _put_dimensions(one, request)
    return {**kept, **one}


def _instance(text: str, rest: Any) -> JsonObject:
    return {**(rest if isinstance(rest, dict) else {}), "content": text}


def _losses(request: EmbedRequest) -> tuple[LossWarning, ...]:
    found = [
        (f"extensions[{other}]", f"{', '.join(names)}: known to the dialect {other} only")
        for other, names in foreign_members(request.extensions, DIALECT)
    ]
    if request.end_user_id:
        found.append(("end_user_id", "Gemini takes no id of the end user"))
    return tuple(
        LossWarning(kind=WarningKind.WARNING_KIND_DROPPED, field=field, message=message)
        for field, message in found
    )


def _read_vector(value: Any, embedding: Embedding, number: int, shape: EmbeddingShape) -> None:
    outer = Members(value) if isinstance(value, dict) else None
    if outer is None:
        raise UpstreamProtocol("the provider's answer has an embedding that is no object")
    inner = outer.rest
    if shape is EmbeddingShape.PREDICT:
        inner = outer.rest.get("embeddings", {})
    values = inner.pop("values", None) if isinstance(inner, dict) else None
    if not isinstance(values, list) or not all(type(each) in {int, float} for each in values):
        raise UpstreamProtocol("the provider's answer has an embedding without a vector")
    try:
        embedding.floats.values.extend(values)
    except (OverflowError, TypeError):
        raise UpstreamProtocol("the provider's answer has a vector of impossible numbers") from None
    embedding.floats.SetInParent()
    embedding.index = number
    outer.save(embedding.extensions, DIALECT)


def _vector(embedding: Embedding) -> JsonObject:
    if embedding.WhichOneof("vector") == "float32_le":
        data = embedding.float32_le
        values: list[float] = list(memoryview(data[: len(data) // 4 * 4]).cast("f"))
    else:
        values = [plain_number(each) for each in embedding.floats.values]
    if not all(math.isfinite(each) for each in values):
        # JSON has no such numbers, and a client would take a null for a defect of its own.
        raise UpstreamProtocol("the provider's vector has numbers that are none")
    return {"values": values}


def _prediction(vector: JsonObject, embedding: Embedding) -> JsonObject:
    rest = Extension(embedding.extensions, DIALECT).members
    own = rest.pop("embeddings", None)
    return {**rest, "embeddings": {**(own if isinstance(own, dict) else {}), **vector}}


def _read_statistics(predictions: list[Any], usage: Usage) -> None:
    """Add up what each prediction says of its tokens; nothing if one of them says nothing."""
    total = 0
    for each in predictions:
        embeddings = each.get("embeddings") if isinstance(each, dict) else None
        statistics = embeddings.get("statistics") if isinstance(embeddings, dict) else None
        counts = statistics if isinstance(statistics, dict) else {}
        tokens: Any = counts.get("token_count", counts.get("tokenCount"))
        if type(tokens) not in {int, float} or not 0 <= tokens < 1 << 53:
            return
        total += int(tokens)
    usage.input_tokens = total
    usage.measure = MEASURE_VENDOR


def _own_usage(usage: Usage) -> Any:
    try:
        return decode_json(usage.provider_json)
    except ValueError:
        return {"promptTokenCount": usage.input_tokens}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
