"""Embeddings, in both directions."""

from __future__ import annotations

from typing import Any, Final

from llmhub.embedding.v1.embedding_service_pb2 import (
    Embedding,
    EmbeddingEncoding,
    EmbedRequest,
    EmbedResponse,
)
from llmhub.types.v1.generation_pb2 import Warning as LossWarning
from llmhub.types.v1.generation_pb2 import WarningKind
from services.dialects.codec import WireRequest
from services.dialects.cohere.errors import error_in_answer
from services.dialects.cohere.usage import read_usage, write_usage
from services.dialects.cohere.wire import DIALECT, EMBED_PATH
from services.dialects.data_urls import decode_base64, encode_base64
from services.dialects.members import (
    Extension,
    JsonObject,
    Members,
    answer_object,
    decode_json,
    encode_json,
    foreign_members,
    plain_number,
    request_object,
)
from services.runtime.errors import ParameterUnsupported, RequestInvalid, UpstreamProtocol, Violation

_TYPES: Final = ("float", "base64", "int8", "uint8", "binary", "ubinary")
"""Forms of a vector, the one first that the contract takes if there are several."""
_ENCODINGS: Final = {
    "float": EmbeddingEncoding.EMBEDDING_ENCODING_FLOAT,
    "base64": EmbeddingEncoding.EMBEDDING_ENCODING_BYTES,
}
_PURPOSE: Final = "search_document"


def decode_embed_request(body: bytes) -> EmbedRequest:
    """Read a body; raise RequestInvalid with a violation for each fault. Images stay in the extension."""
    faults: list[Violation] = []
    members = Members(request_object(body), "", faults)
    members.hint("v")
    request = EmbedRequest()
    model = members.word("model")
    if model is None:
        members.fault("model", "must be a string that is not empty")
    else:
        request.model = model
    texts = members.rest.get("texts")
    if isinstance(texts, list) and texts and all(isinstance(each, str) for each in texts):
        for text in texts:
            request.inputs.add().text = text
        del members.rest["texts"]
    elif texts:
        members.fault("texts", "must be an array of strings")
    if not request.inputs and not (members.rest.get("images") or members.rest.get("inputs")):
        members.fault("texts", "must be an array that is not empty, where there are no images or inputs")
    dimensions = members.integer("output_dimension", 31)
    if dimensions is not None:
        request.dimensions = dimensions
        if dimensions < 1:
            members.fault("output_dimension", "must be positive")
    types = members.rest.get("embedding_types")
    kind = types[0] if isinstance(types, list) and len(types) == 1 else None
    if isinstance(kind, str) and kind in _ENCODINGS:
        request.encoding = _ENCODINGS[kind]
        del members.rest["embedding_types"]
    if faults:
        raise RequestInvalid(f"{faults[0].field}: {faults[0].message}", violations=tuple(faults))
    members.save(request.extensions, DIALECT)
    return request


def encode_embed_request(request: EmbedRequest, model: str) -> WireRequest:
    """Write a request; raise ParameterUnsupported for tokens, which Cohere does not take."""
    extension = Extension(request.extensions, DIALECT)
    native = "v" in extension.shape
    warnings = [
        LossWarning(
            kind=WarningKind.WARNING_KIND_DROPPED,
            field=f"extensions[{other}]",
            message=f"{', '.join(names)}: known to the dialect {other} only",
        )
        for other, names in foreign_members(request.extensions, DIALECT)
    ]
    body: JsonObject = {"model": model}
    if any(each.WhichOneof("kind") == "tokens" for each in request.inputs):
        raise ParameterUnsupported("inputs: Cohere embeds text, not tokens", field="inputs.tokens")
    if request.inputs:
        body["texts"] = [each.text for each in request.inputs]
    if request.HasField("dimensions"):
        body["output_dimension"] = request.dimensions
    if request.encoding:
        wants_bytes = request.encoding == EmbeddingEncoding.EMBEDDING_ENCODING_BYTES
        body["embedding_types"] = ["base64" if wants_bytes else "float"]
    elif not native and "embedding_types" not in extension.members:
        body["embedding_types"] = ["float"]
    if not native and "input_type" not in extension.members:
        body["input_type"] = _PURPOSE
        message = (
            f"Cohere must be told; {_PURPOSE} was supplied. extensions[cohere].input_type chooses another"
        )
        warnings.append(
            LossWarning(kind=WarningKind.WARNING_KIND_EMULATED, field="input_type", message=message)
        )
    if request.end_user_id:
        warnings.append(
            LossWarning(
                kind=WarningKind.WARNING_KIND_DROPPED,
                field="end_user_id",
                message="end users are not told here",
            )
        )
    return WireRequest(EMBED_PATH, encode_json(extension.merge(body)), warnings=tuple(warnings))


def decode_embed_response(body: bytes) -> EmbedResponse:
    """Read an answer; raise UpstreamProtocol for what is none, or the error that it carries."""
    value = answer_object(body)
    vectors = value.get("embeddings")
    members = Members(value)
    response = EmbedResponse()
    if isinstance(vectors, list):
        # An older form: nothing but floats.
        members.hint("type", "")
        _read_vectors("float", vectors, response)
        del value["embeddings"]
    elif isinstance(vectors, dict):
        kind = next((each for each in _TYPES if vectors.get(each)), "")
        if kind:
            members.hint("type", kind)
            _read_vectors(kind, vectors.pop(kind), response)
            if not vectors:
                del value["embeddings"]
    else:
        raise error_in_answer(value) or UpstreamProtocol("the provider's answer has no embeddings")
    meta = members.mapping("meta")
    if meta is not None:
        response.usage.CopyFrom(read_usage(meta))
        members.hint("meta")
    members.save(response.extensions, DIALECT)
    return response


def _read_vectors(kind: str, vectors: Any, response: EmbedResponse) -> None:
    if not isinstance(vectors, list):
        raise UpstreamProtocol("the provider's answer has embeddings that are no list")
    for number, vector in enumerate(vectors):
        embedding = response.embeddings.add(index=number)
        if isinstance(vector, str) and kind == "base64" and (data := decode_base64(vector)) is not None:
            embedding.float32_le = data
        elif isinstance(vector, list) and all(type(each) in {int, float} for each in vector):
            try:
                embedding.floats.values.extend(vector)
            except (OverflowError, TypeError):
                raise UpstreamProtocol("the provider's answer has a vector of impossible numbers") from None
            embedding.floats.SetInParent()
        else:
            raise UpstreamProtocol("the provider's answer has an embedding without a vector")


def encode_embed_response(response: EmbedResponse) -> bytes:
    """Write an answer."""
    native = DIALECT in response.extensions
    extension = Extension(response.extensions, DIALECT)
    vectors = [_vector(each) for each in response.embeddings]
    kind = extension.shape.get("type")
    value: JsonObject = {}
    if kind == "" and native:
        value["embeddings"] = vectors
    elif not native or isinstance(kind, str):
        as_bytes = any(each.WhichOneof("vector") == "float32_le" for each in response.embeddings)
        word = kind if isinstance(kind, str) else "base64" if as_bytes else "float"
        rest = extension.members.get("embeddings")
        value["embeddings"] = {word: vectors, **(rest if isinstance(rest, dict) else {})}
    if not native:
        value["id"] = response.request_id
        value["response_type"] = "embeddings_by_type"
    if response.HasField("usage"):
        if native and "meta" in extension.shape and response.usage.provider_json:
            value["meta"] = decode_json(response.usage.provider_json)
        else:
            value["meta"] = write_usage(response.usage)
    return encode_json(extension.merge(value))


def _vector(embedding: Embedding) -> Any:
    if embedding.WhichOneof("vector") == "float32_le":
        return encode_base64(embedding.float32_le)
    return [plain_number(each) for each in embedding.floats.values]
