"""`generationConfig`, both ways."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1.generation_pb2 import GenerationOptions, ResponseFormat
from services.dialects.gemini.family import Family
from services.dialects.gemini.read_parts import Faults
from services.dialects.gemini.schema import read_schema, write_schema
from services.dialects.gemini.thinking import read_thinking, write_thinking
from services.dialects.gemini.wire import (
    DIALECT,
    caller_json,
    canonical,
    object_keeping,
    opens,
    raw_text,
)
from services.dialects.losses import Losses
from services.dialects.members import Extension, JsonObject, Members, plain_number

_INTEGERS: Final = (
    ("maxOutputTokens", "max_output_tokens", 63),
    ("topK", "top_k", 63),
    ("seed", "seed", 63),
    ("candidateCount", "candidates", 31),
    ("logprobs", "top_logprobs", 31),
)
_NUMBERS: Final = (
    ("temperature", "temperature"),
    ("topP", "top_p"),
    ("presencePenalty", "presence_penalty"),
    ("frequencyPenalty", "frequency_penalty"),
)
_SCHEMAS: Final = ("responseSchema", "responseJsonSchema")
_JSON: Final = "application/json"
_TEXT: Final = "text/plain"
_WRITTEN: Final = "schema"
"""Hint of a format: its schema stood in responseSchema, and the schema if it was no JSON Schema."""
_MOST_STOPS: Final = 5
_INT32: Final = 1 << 31


def read_config(raw: msgspec.Raw, request: GenerateRequest, faults: Faults, spelled: list[str]) -> JsonObject:
    """Read `generationConfig`; return what has no field."""
    own: list[str] = []
    value = canonical(object_keeping(raw, *_SCHEMAS), own, "generationConfig.")
    members = Members(value, "generationConfig", faults)
    options = request.options
    for name, field, bits in _INTEGERS:
        if (
            type(value.get(name)) in {int, float}
            and (integer := Members(value).integer(name, bits)) is not None
        ):
            setattr(options, field, integer)
    for name, field in _NUMBERS:
        if (number := members.number(name)) is not None:
            setattr(options, field, number)
    if (logprobs := members.flag("responseLogprobs")) is not None:
        options.logprobs = logprobs
    _read_words(value, "stopSequences", options.stop_sequences, faults)
    modalities = value.get("responseModalities")
    if (
        isinstance(modalities, list)
        and modalities
        and all(type(m) is str and m.isupper() for m in modalities)
    ):
        options.modalities.extend(modality.lower() for modality in modalities)
        del value["responseModalities"]
    thinking = value.get("thinkingConfig")
    if isinstance(thinking, dict):
        del value["thinkingConfig"]
        read_thinking(thinking, request.reasoning)
    _read_format(members, request)
    spelled.extend(each for each in own if each.partition(".")[2] not in value)
    return _with_spelling(value, own)


def write_config(request: GenerateRequest, family: Family, losses: Losses) -> JsonObject:
    """Write `generationConfig`; what Gemini has no word for is noted as a loss."""
    options = request.options
    config: JsonObject = {}
    for name, field, bits in _INTEGERS:
        if options.HasField(field):  # type: ignore[arg-type]
            value = getattr(options, field)
            if name == "seed" and not -_INT32 <= value < _INT32:
                losses.dropped("options.seed", f"Gemini's seeds have {min(bits, 32)} bits")
            else:
                config[name] = value
    for name, field in _NUMBERS:
        if options.HasField(field):  # type: ignore[arg-type]
            config[name] = plain_number(getattr(options, field))
    if options.HasField("logprobs"):
        config["responseLogprobs"] = options.logprobs
    if options.stop_sequences:
        config["stopSequences"] = _stops(request, losses)
    if options.modalities:
        config["responseModalities"] = [modality.upper() for modality in options.modalities]
    thinking = write_thinking(request.reasoning, family, losses)
    if thinking or DIALECT in request.reasoning.extensions:
        config["thinkingConfig"] = thinking
    _write_format(request.response_format, config, losses)
    _drop_unknown(options, losses)
    return config


def _stops(request: GenerateRequest, losses: Losses) -> list[str]:
    stops = list(request.options.stop_sequences)
    if len(stops) > _MOST_STOPS and DIALECT not in request.extensions:
        losses.dropped("options.stop_sequences", f"Gemini takes {_MOST_STOPS}: the first ones are sent")
        return stops[:_MOST_STOPS]
    return stops


def _with_spelling(value: JsonObject, spelled: list[str]) -> JsonObject:
    """What was not taken keeps the caller's spelling."""
    for path in spelled:
        name = path.partition(".")[2]
        if name in value:
            snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in name)
            value[snake] = value.pop(name)
    return value


def _read_words(value: JsonObject, name: str, into: Any, faults: Faults) -> None:
    words = value.get(name)
    if words is None:
        return
    if not isinstance(words, list) or not all(type(word) is str for word in words):
        Members({name: 0}, "generationConfig", faults).fault(name, "must be an array of strings")
    elif words:
        into.extend(words)
        del value[name]


def _read_format(members: Members, request: GenerateRequest) -> None:
    value = members.rest
    kind = value.get("responseMimeType")
    found = [name for name in _SCHEMAS if value.get(name) is not None and not _is_null(value[name])]
    wanted = request.response_format
    if kind == _TEXT and not found:
        wanted.text = True
    elif kind == _JSON and not found:
        wanted.json = True
    elif kind == _JSON and len(found) == 1 and opens(value[found[0]], b"{"):
        raw = value.pop(found[0])
        if found[0] == "responseSchema":
            wanted.json_schema.schema_json, original = read_schema(raw)
            hinted = Members({})
            hinted.hint(_WRITTEN, original)
            hinted.save(wanted.extensions, DIALECT)
        else:
            wanted.json_schema.schema_json = raw_text(raw)
    else:
        return
    del value["responseMimeType"]


def _is_null(value: Any) -> bool:
    return type(value) is msgspec.Raw and opens(value, b"n")


def _write_format(wanted: ResponseFormat, config: JsonObject, losses: Losses) -> None:
    losses.foreign(wanted.extensions, DIALECT, "response_format")
    match wanted.WhichOneof("kind"):
        case "text":
            if wanted.text:
                config["responseMimeType"] = _TEXT
        case "json":
            if wanted.json:
                config["responseMimeType"] = _JSON
        case "json_schema":
            _write_schema(wanted, config, losses)
        case _:
            pass


def _write_schema(wanted: ResponseFormat, config: JsonObject, losses: Losses) -> None:
    # The schema's name is a label only, and Gemini always keeps to the schema.
    schema = wanted.json_schema
    if schema.HasField("strict") and not schema.strict:
        losses.altered("response_format.json_schema.strict", "Gemini always keeps to the schema")
    if schema.description:
        losses.dropped("response_format.json_schema.description", "Gemini has no place for it")
    config["responseMimeType"] = _JSON
    if not schema.schema_json:
        return
    raw, _ = caller_json(schema.schema_json, "response_format.json_schema.schema_json")
    shape = Extension(wanted.extensions, DIALECT).shape
    if _WRITTEN not in shape:
        config["responseJsonSchema"] = raw
    elif shape[_WRITTEN] is None:
        config["responseSchema"] = raw
    else:
        own = write_schema(schema.schema_json, shape[_WRITTEN])
        config["responseJsonSchema" if own is None else "responseSchema"] = raw if own is None else own


def _drop_unknown(options: GenerationOptions, losses: Losses) -> None:
    if options.logit_bias:
        losses.dropped("options.logit_bias", "Gemini has no logit bias")
    if options.verbosity:
        losses.dropped("options.verbosity", "Gemini has no verbosity")
    if options.end_user_id:
        losses.dropped("options.end_user_id", "Gemini takes no id of the end user")
    if options.prompt_cache_key:
        losses.dropped("options.prompt_cache_key", "Gemini caches by itself, or by cachedContent, not by key")
