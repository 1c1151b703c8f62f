"""Takes modelled members out of a decoded JSON object; what remains travels as the dialect's extension.

An explicit null of a modelled member, and a member of an unexpected type, stay in the extension. Variants
of shape that the contract cannot tell apart are kept as compact hints under one reserved key, SHAPE. Typed
fields are authoritative: the extension never repeats them, nor overrides them when it is merged back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from services.dialects.surrogates import mended
from services.runtime.errors import RequestInvalid, UpstreamProtocol, Violation

_TYPE_NAMES: Final = {str: "a string", bool: "a boolean", list: "an array", dict: "an object"}

SHAPE: Final = "$shape"
"""Reserved member of an extension: an object of hints about how the vendor's body was written."""

JsonObject = dict[str, Any]

JSON_FAULTS: Final = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)
"""What msgspec raises for bytes that are no JSON."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def encode_json(value: object) -> bytes:
    """Write compact JSON; msgspec.Raw values keep their bytes."""
    return _encode(value)


def json_text(value: object) -> str:
    """As encode_json, as text."""
    return _encode(value).decode()


def decode_json(data: bytes | str | msgspec.Raw) -> Any:
    """Read any JSON; raise ValueError for anything that is none, or too deep, or not Unicode.

    A lone surrogate escape, which other readers of JSON take, is read as U+FFFD.
    """
    try:
        return _decode(data)
    except msgspec.MsgspecError as error:
        return _decode_mended(data, str(error))
    except (RecursionError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from None


def _decode_mended(data: bytes | str | msgspec.Raw, fault: str) -> Any:
    text = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else bytes(data)
    fixed = mended(text)
    if fixed is text:
        raise ValueError(fault)
    try:
        return _decode(fixed)
    except JSON_FAULTS as error:
        raise ValueError(str(error)) from None


def request_object(body: bytes) -> JsonObject:
    """Read a caller's body; raise RequestInvalid unless it is a JSON object."""
    try:
        # To the letter: what a caller sends is not repaired on the way.
        value = _decode(body)
    except JSON_FAULTS as error:
        raise RequestInvalid(
            "the body is not valid JSON", violations=(Violation("", f"not valid JSON: {error}"),)
        ) from None
    if not isinstance(value, dict):
        raise RequestInvalid(
            "the body must be a JSON object", violations=(Violation("", "must be a JSON object"),)
        )
    return value


def request_json(text: str, where: str) -> Any:
    """Read JSON text that a caller put into a typed field; raise RequestInvalid if it is none."""
    try:
        return decode_json(text)
    except ValueError:
        violation = Violation(where, "must be JSON text")
        raise RequestInvalid(f"{where} must be JSON text", violations=(violation,)) from None


def answer_object(body: bytes) -> JsonObject:
    """Read a provider's body; raise UpstreamProtocol unless it is a JSON object."""
    try:
        value = decode_json(body)
    except ValueError as error:
        raise UpstreamProtocol(f"the provider's answer is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise UpstreamProtocol("the provider's answer is not a JSON object")
    return value


class Members:
    """The members of one JSON object, taken one by one.

    It owns the object it is given and empties it. With `faults`, a member of an unexpected type other than
    null is noted there as a violation; without, it silently stays in the extension.
    """

    __slots__ = ("_faults", "_path", "_shape", "rest")

    def __init__(self, value: JsonObject, path: str = "", faults: list[Violation] | None = None) -> None:
        value.pop(SHAPE, None)
        self.rest = value
        self._path = path
        self._faults = faults
        self._shape: JsonObject | None = None

    def text(self, name: str) -> str | None:
        """Take a string."""
        return self._take(name, str)  # type: ignore[no-any-return]

    def flag(self, name: str) -> bool | None:
        """Take a boolean."""
        return self._take(name, bool)  # type: ignore[no-any-return]

    def array(self, name: str) -> list[Any] | None:
        """Take an array."""
        return self._take(name, list)  # type: ignore[no-any-return]

    def mapping(self, name: str) -> JsonObject | None:
        """Take an object."""
        return self._take(name, dict)  # type: ignore[no-any-return]

    def word(self, name: str) -> str | None:
        """Take a string that is not empty; an empty one stays, since the contract reads it as absent."""
        return self._take(name, str) if self.rest.get(name) != "" else None

    def integer(self, name: str, bits: int = 63) -> int | None:
        """Take an integer that fits so many bits and a sign, 3.0 included."""
        value = self.rest.get(name)
        if value is None:
            return None
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is not int or not -(1 << bits) <= value < 1 << bits:
            self.fault(name, f"must be an integer of {bits + 1} bits")
            return None
        del self.rest[name]
        return value

    def number(self, name: str) -> float | None:
        """Take a number that a double holds exactly."""
        value = self.rest.get(name)
        if value is None:
            return None
        if type(value) is int and abs(value) <= 1 << 53:
            value = float(value)
        if type(value) is not float:
            self.fault(name, "must be a number")
            return None
        del self.rest[name]
        return value

    def fault(self, name: str, message: str) -> None:
        """Note that a member is wrong; it stays where it is."""
        if self._faults is not None:
            self._faults.append(Violation(self.at(name), message))

    def at(self, name: str) -> str:
        """Path of a member, for violations."""
        return f"{self._path}.{name}" if self._path else name

    def hint(self, key: str, value: object = 1) -> None:
        """Keep a compact note about the shape the body had."""
        if self._shape is None:
            self._shape = {}
        self._shape[key] = value

    def extension(self) -> str:
        """JSON text of what was not taken, hints included; empty if nothing is left."""
        if self._shape is not None:
            return json_text({**self.rest, SHAPE: self._shape})
        return json_text(self.rest) if self.rest else ""

    def save(self, extensions: Any, dialect: str) -> None:
        """Write the extension into a message's `extensions`, unless it is empty."""
        if self.rest or self._shape is not None:
            extensions[dialect] = self.extension()

    def _take(self, name: str, kind: type) -> Any:
        value = self.rest.get(name)
        if value is None:
            return None
        if type(value) is not kind:
            self.fault(name, f"must be {_TYPE_NAMES[kind]}")
            return None
        del self.rest[name]
        return value


class Extension:
    """What a message carries for one dialect: hints, and members to be merged back."""

    __slots__ = ("members", "shape")

    def __init__(self, extensions: Mapping[str, str], dialect: str) -> None:
        """Raise RequestInvalid if the extension is not the text of a JSON object."""
        text = extensions.get(dialect) if extensions else None
        self.members: JsonObject = {}
        self.shape: JsonObject = {}
        if text:
            try:
                value = decode_json(text)
            except ValueError:
                value = None
            if not isinstance(value, dict):
                where = f"extensions[{dialect}]"
                raise RequestInvalid(
                    f"{where} must be the text of a JSON object",
                    violations=(Violation(where, "must be the text of a JSON object"),),
                )
            shape = value.pop(SHAPE, None)
            self.members = value
            if isinstance(shape, dict):
                self.shape = shape

    def merge(self, into: JsonObject) -> JsonObject:
        """Add the members that `into` does not have; return `into`."""
        for name, value in self.members.items():
            into.setdefault(name, value)
        return into


def foreign_members(extensions: Mapping[str, str], dialect: str) -> list[tuple[str, list[str]]]:
    """Names of the members that only other dialects understand, per dialect; shape alone carries nothing."""
    if not extensions:
        return []
    found = []
    for name in sorted(extensions):
        if name != dialect:
            members = Extension(extensions, name).members
            names = [member for member, value in members.items() if says_something(value)]
            if names:
                found.append((name, names))
    return found


def says_something(value: object) -> bool:
    """Tell a member that is lost from the skeleton of one whose values stand in typed fields."""
    left = [value]
    while left:
        each = left.pop()
        if isinstance(each, dict):
            left.extend(inner for name, inner in each.items() if name != "type")
        elif isinstance(each, list):
            left.extend(each)
        elif each is not None and not (isinstance(each, str) and each[:1] in {"", "\0"}):
            return True
    return False


def plain_number(value: float) -> int | float:
    """A whole number as an integer, so that 1.0 is written 1; JSON sees no difference."""
    return int(value) if value.is_integer() and abs(value) <= 1 << 53 else value
