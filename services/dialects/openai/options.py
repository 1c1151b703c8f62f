"""The sampling knobs, limits and labels of a request, in both directions."""

from __future__ import annotations

from typing import Final, Literal

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from services.dialects.end_user import end_user
from services.dialects.losses import Losses
from services.dialects.members import JsonObject, Members, plain_number
from services.dialects.openai.target import Target

_NUMBERS: Final = ("temperature", "top_p", "frequency_penalty", "presence_penalty")
_WORDS: Final = ("verbosity", "service_tier", "prompt_cache_key")
_PLAIN: Final[tuple[tuple[Literal["candidates", "logprobs", "top_logprobs"], str], ...]] = (
    ("candidates", "n"),
    ("logprobs", "logprobs"),
    ("top_logprobs", "top_logprobs"),
)
_CAPS: Final = ("max_completion_tokens", "max_tokens")
_SEEDS: Final = ("seed", "random_seed")
_END_USERS: Final = ("safety_identifier", "user")
_SERVICE_TIERS: Final = {"standard_only": "default"}
_MOST_METADATA: Final = 64


def decode_options(members: Members, request: GenerateRequest) -> None:
    """Take what the contract types; hints say which of several spellings was used."""
    options = request.options
    for name in _NUMBERS:
        number = members.number(name)
        if number is not None:
            setattr(options, name, number)
    for name in _WORDS:
        word = members.word(name)
        if word is not None:
            setattr(options, name, word)
    for names, field in ((_CAPS, "max_output_tokens"), (_SEEDS, "seed")):
        for name in names:
            count = members.integer(name)
            if count is not None:
                setattr(options, field, count)
                members.hint(field, name)
                break
    for name in _END_USERS:
        user = members.word(name)
        if user is not None:
            options.end_user_id = user
            members.hint("end_user", name)
            break
    _decode_counts(members, request)
    _decode_lists(members, request)


def _decode_counts(members: Members, request: GenerateRequest) -> None:
    options = request.options
    top_k = members.integer("top_k")
    if top_k is not None:
        options.top_k = top_k
        members.hint("top_k")
    candidates = members.integer("n", 31)
    if candidates is not None:
        options.candidates = candidates
        if candidates < 1:
            members.fault("n", "must be at least 1")
    logprobs = members.flag("logprobs")
    if logprobs is not None:
        options.logprobs = logprobs
    top = members.integer("top_logprobs", 31)
    if top is not None:
        options.top_logprobs = top


def _decode_lists(members: Members, request: GenerateRequest) -> None:
    options = request.options
    stop = members.rest.get("stop")
    if isinstance(stop, str):
        options.stop_sequences.append(stop)
        members.hint("stop", "string")
        del members.rest["stop"]
    elif isinstance(stop, list) and stop and all(isinstance(each, str) for each in stop):
        options.stop_sequences.extend(stop)
        del members.rest["stop"]
    elif stop:
        members.fault("stop", "must be a string or strings")
    modalities = members.rest.get("modalities")
    if isinstance(modalities, list) and modalities and all(isinstance(each, str) for each in modalities):
        options.modalities.extend(modalities)
        del members.rest["modalities"]
    bias = members.rest.get("logit_bias")
    if isinstance(bias, dict) and bias:
        if all(type(value) in {int, float} and abs(value) < 1 << 53 for value in bias.values()):
            options.logit_bias.update({name: float(value) for name, value in bias.items()})
            del members.rest["logit_bias"]
        else:
            members.fault("logit_bias", "must map token ids to numbers")
    metadata = members.rest.get("metadata")
    if isinstance(metadata, dict) and 0 < len(metadata) <= _MOST_METADATA:
        if all(isinstance(value, str) for value in metadata.values()):
            request.metadata.update(metadata)
            members.hint("metadata")
            del members.rest["metadata"]
        else:
            members.fault("metadata", "must map names to strings")


def encode_options(request: GenerateRequest, body: JsonObject, target: Target) -> None:
    """Write the knobs; members that the contract does not type are merged in later."""
    profile = target.profile
    shape = target.extension.shape
    options = request.options
    for name in _NUMBERS:
        if options.HasField(name):
            body[name] = plain_number(getattr(options, name))
    for name, member in _PLAIN:
        if options.HasField(name):
            body[member] = getattr(options, name)
    _encode_words(request, body, target)
    if options.HasField("max_output_tokens"):
        cap = _spelling(shape.get("max_output_tokens"), _CAPS, profile.cap_member(target.model))
        body[cap] = options.max_output_tokens
    if options.HasField("seed"):
        body[_spelling(shape.get("seed"), _SEEDS, profile.seed)] = options.seed
    if options.end_user_id:
        spelled = shape.get("end_user")
        user = options.end_user_id if spelled else end_user(options.end_user_id, target.losses)
        body[_spelling(spelled, _END_USERS, profile.end_user)] = user
    _encode_rest(request, body, target)


def _encode_words(request: GenerateRequest, body: JsonObject, target: Target) -> None:
    options = request.options
    for name in ("verbosity", "prompt_cache_key"):
        if getattr(options, name):
            body[name] = getattr(options, name)
    if options.service_tier:
        body["service_tier"] = _service_tier(options.service_tier, target.losses)


def _encode_rest(request: GenerateRequest, body: JsonObject, target: Target) -> None:
    options = request.options
    profile, shape = target.profile, target.extension.shape
    if options.logit_bias:
        body["logit_bias"] = {name: plain_number(value) for name, value in options.logit_bias.items()}
    if options.modalities:
        body["modalities"] = list(options.modalities)
    if options.HasField("top_k"):
        if profile.top_k or "top_k" in shape:
            body["top_k"] = options.top_k
        else:
            target.losses.dropped("options.top_k", "not known to this server")
    stops = list(options.stop_sequences)
    if len(stops) > profile.stop_sequences and not shape:
        most = profile.stop_sequences
        target.losses.altered("options.stop_sequences", f"only the first {most} were sent")
        stops = stops[:most]
    if stops:
        single = shape.get("stop") == "string" and len(stops) == 1
        body["stop"] = stops[0] if single else stops
    if request.metadata:
        if profile.metadata or "metadata" in shape:
            body["metadata"] = dict(request.metadata)
        else:
            target.losses.dropped("metadata", "this server takes no labels")


def _service_tier(tier: str, losses: Losses) -> str:
    known = _SERVICE_TIERS.get(tier)
    if known is None:
        return tier
    losses.altered("options.service_tier", f"{tier} is called {known} here")
    return known


def _spelling(written: object, spellings: tuple[str, ...], default: str) -> str:
    return written if isinstance(written, str) and written in spellings else default
