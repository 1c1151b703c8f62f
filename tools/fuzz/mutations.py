"""Inputs that are wrong in the ways that hurt: bytes, structure, order of frames, length and depth."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Callable, Sequence
from typing import Any, Final

from services.dialects.eventstream import FrameReader, encode_frame
from services.dialects.sse import SseParser, encode_event
from services.runtime.errors import LlmhubError
from tests.support.damage import damaged, junk

LARGE: Final = 400_000
"""Bytes that a lengthened input may have, about."""
LARGEST: Final = 2_000_000
"""Bytes of an input that was lengthened several times: longer ones are cut."""
_TOKENS: Final = (
    *(
        b"\r",
        b"\n",
        b"\r\n\r\n",
        b"\n\n",
        b"\0",
        b"\xff",
        b"\xef\xbb\xbf",
        b'"',
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
    ),
    *(
        b",",
        b":",
        b"null",
        b"1e999",
        b"-0",
        b"9" * 30,
        b"\\ud83d",
        b"\\udc4b",
        b"\\u0000",
        b"data: ",
        b"data:",
    ),
    *(b"event: error\n", b": x\n\n", b"data: [DONE]\n\n", b"[DONE]", b"NaN", b"Infinity", b"\xf0\x9f", b"--"),
)
Dice = random.Random


def mutate(dice: Dice, seeds: Sequence[bytes], names: Sequence[str], framing: str) -> bytes:
    """An input made from one of these seeds. `framing`: json, sse, lines, frames or array."""
    data = dice.choice(seeds)
    fate = dice.random()
    if fate < 0.55:
        data = _structured(dice, data, seeds, names, framing)
    elif fate < 0.65:
        data = _structured(dice, _structured(dice, data, seeds, names, framing), seeds, names, framing)
    if fate > 0.55 or dice.random() < 0.1:
        for _ in range(dice.choice((1, 1, 2, 4, 16))):
            data = havoc(dice, data, seeds)
    return data[:LARGEST]


def havoc(dice: Dice, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """The bytes with one change that knows nothing of what they mean."""
    a = dice.randrange(len(data) + 1)
    b = min(len(data), a + dice.choice((1, 2, 4, 16, 256)))
    match dice.randrange(8):
        case 0:
            return data[:a] + dice.randbytes(b - a) + data[b:]
        case 1:
            return data[:a] + data[b:]
        case 2:
            return data[:a] + data[a:b] * dice.choice((2, 3, 50)) + data[b:]
        case 3 | 4 | 5:
            return data[:a] + dice.choice(_TOKENS) + data[a if dice.randrange(2) else b :]
        case 6:
            other = dice.choice(seeds)
            return data[:a] + other[dice.randrange(len(other) + 1) :][:4096] + data[b:]
        case _:
            return data[:a]


def split(dice: Dice, data: bytes) -> list[bytes]:
    """The bytes in pieces: one, a few, or single bytes of a short input."""
    if len(data) < 2 or not dice.randrange(4):
        return [data]
    if len(data) < 3000 and not dice.randrange(4):
        return [data[n : n + 1] for n in range(len(data))]
    cuts = sorted(dice.randrange(1, len(data)) for _ in range(dice.randrange(1, 40)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def _structured(dice: Dice, data: bytes, seeds: Sequence[bytes], names: Sequence[str], framing: str) -> bytes:
    if framing == "json":
        return _dump(dice, _changed(dice, _load(data), names, seeds))
    frames = unframe(data, framing)
    if not frames:
        return data
    match dice.randrange(9):
        case 0:
            del frames[dice.randrange(len(frames))]
        case 1:
            frames.insert(dice.randrange(len(frames)), dice.choice(frames))
        case 2:
            one, other = dice.randrange(len(frames)), dice.randrange(len(frames))
            frames[one], frames[other] = frames[other], frames[one]
        case 3:
            at = dice.randrange(len(frames))
            size = max(1, len(frames[at][1]))
            frames[at : at + 1] = [frames[at]] * dice.choice((3, 100, max(1, LARGE // 4 // size)))
        case 4:
            more = unframe(dice.choice(seeds), framing)
            frames[dice.randrange(len(frames)) :] = more[dice.randrange(len(more) + 1) :]
        case _:
            for at in dice.sample(range(len(frames)), min(len(frames), dice.choice((1, 1, 3, 10)))):
                name, payload = frames[at]
                frames[at] = (name, _dump(dice, _changed(dice, _load(payload), names, seeds)))
    return reframe(frames, framing)


def unframe(data: bytes, framing: str) -> list[tuple[str, bytes]]:
    """A stream's frames: names and payloads; none for what is no such stream."""
    try:
        match framing:
            case "sse":
                return [(event.event, event.data) for event in SseParser().feed(data)]
            case "lines":
                return [("", line) for line in data.split(b"\n") if line]
            case "frames":
                return [(f"{each.kind}/{each.name}", each.payload) for each in FrameReader().feed(data)]
            case _:
                values = json.loads(data)
                return [("", json.dumps(each).encode()) for each in values] if type(values) is list else []
    except (LlmhubError, ValueError, RecursionError):
        return []


def reframe(frames: Sequence[tuple[str, bytes]], framing: str) -> bytes:
    """Frames as a stream."""
    match framing:
        case "sse":
            return b"".join(encode_event(payload, name) for name, payload in frames)
        case "lines":
            return b"".join(payload + b"\n" for _, payload in frames)
        case "frames":
            return b"".join(
                encode_frame(name.partition("/")[2], payload, name.partition("/")[0])
                for name, payload in frames
            )
        case _:
            return b"[" + b",\r\n".join(payload for _, payload in frames) + b"]"


def _load(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return data[:200].decode("utf-8", "replace")


def _dump(dice: Dice, value: Any) -> bytes:
    try:
        text = json.dumps(value, ensure_ascii=not dice.randrange(3)).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):
        return b"[" * 5000
    return text


def _changed(dice: Dice, value: Any, names: Sequence[str], seeds: Sequence[bytes]) -> Any:
    """A JSON value with one kind of fault in it."""
    match dice.randrange(10):
        case 0 | 1 | 2 | 3:
            return damaged(dice, value, names)
        case 4:
            return _with(dice, value, lambda _: dice.choice(_all_of(_load(dice.choice(seeds)))))
        case 5:
            return _with(dice, value, lambda _: junk(dice, names))
        case 6:
            return _with(dice, value, lambda each: _longer(dice, each))
        case 7:
            depth = dice.choice((3, 40, 400, 3000))
            return _with(dice, value, lambda each: _deeper(dice, each, names, depth))
        case 8:
            return _with(dice, value, lambda each: _shuffled(dice, each))
        case _:
            return _with(
                dice, value, lambda each: [each] if dice.randrange(2) else {dice.choice(names): each}
            )


def _with(dice: Dice, value: Any, change: Callable[[Any], Any]) -> Any:
    """The value with one node of it, anywhere, changed."""
    places: list[tuple[Any, Any]] = []

    def look(node: Any) -> None:
        for key in node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
            places.append((node, key))
            look(node[key])

    with contextlib.suppress(RecursionError):
        look(value)
    if not places:
        return change(value)
    parent, key = dice.choice(places)
    parent[key] = change(parent[key])
    return value


def _all_of(value: Any) -> list[Any]:
    found = [value]
    for each in found:
        if isinstance(each, dict):
            found.extend(each.values())
        elif isinstance(each, list):
            found.extend(each)
        if len(found) > 500:
            break
    return found


def _longer(dice: Dice, value: Any) -> Any:
    times = dice.choice((2, 100, LARGE))
    most = max(2, LARGE // (len(str(value)[:LARGE]) + 1))
    if isinstance(value, str):
        return (value or dice.choice(("x", " ", "\\", '"', "é", "{", "\n"))) * min(times, most)
    if isinstance(value, list):
        return value * min(times, most)
    if isinstance(value, dict):
        copies = range(min(times, most, 300))
        return {f"{name}{n}" if n else name: each for n in copies for name, each in value.items()}
    return [value] * min(times, most, 10_000)


def _deeper(dice: Dice, value: Any, names: Sequence[str], depth: int) -> Any:
    name = dice.choice(names)
    as_list = dice.randrange(2)
    for _ in range(depth):
        value = [value] if as_list else {name: value}
    return value


def _shuffled(dice: Dice, value: Any) -> Any:
    if isinstance(value, list):
        return dice.sample(value, len(value))
    if isinstance(value, dict):
        keys = list(value)
        return dict(zip(dice.sample(keys, len(keys)), value.values(), strict=True))
    if isinstance(value, str):
        return value[: dice.randrange(len(value) + 1)] + dice.choice(("\ud83d", "\udc4b", "\0", "é👋", ""))
    return str(value)
