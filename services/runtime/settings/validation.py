"""pydantic's errors as faults that say where and what to do."""

import types
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from services.runtime.settings.fault import Path

Report = Callable[[Path, str, str], None]
"""Called with path, what is wrong, and what to do."""

_ADVICE: Final = (
    ("bool", "write true or false"),
    ("int", "write a whole number"),
    ("float", "write a number"),
    ("string_type", "write a text, in quotes if it looks like a number"),
    ("dict", "write `key: value` lines below it"),
    ("model", "write `key: value` lines below it"),
    ("list", "write a list"),
    ("tuple", "write a list"),
    ("greater", "choose another value"),
    ("less", "choose another value"),
)


def report_errors(
    error: ValidationError, model: type[BaseModel], values: Mapping[str, Any], report: Report
) -> None:
    """Report each fault once; several that concern one value, as the members of a union do, as one."""
    by_path: dict[Path, list[tuple[str, str]]] = {}
    for each in error.errors(include_url=False, include_input=False):
        path = _path(each["loc"], values, each["type"])
        said = by_path.setdefault(path, [])
        text = _what(each), _advice(each, model, path)
        if text not in said:
            said.append(text)
    around = {path[:length] for path in by_path for length in range(len(path))}
    for path, said in by_path.items():
        if path in around:
            # A union's other members complain about the whole value, where one of them knows what is wrong inside.
            continue
        report(path, ", or ".join(what for what, _ in said), said[0][1])


def _path(location: tuple[str | int, ...], values: Any, kind: str) -> Path:
    """The location without what pydantic adds to it for unions and validators."""
    path: Path = ()
    current = values
    for place, part in enumerate(location):
        names_no_value = place == len(location) - 1 and kind in ("missing", "extra_forbidden")
        if _has(current, part):
            current = current[part]
        elif not names_no_value:
            continue
        path = (*path, part)
    return path


def _has(value: Any, part: str | int) -> bool:
    if isinstance(value, list | tuple):
        return isinstance(part, int) and part < len(value)
    return isinstance(value, dict) and part in value


def _what(error: Any) -> str:
    match error["type"]:
        case "extra_forbidden":
            return "unknown key"
        case "missing":
            return "is missing"
        case _:
            message = str(error["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
            return message[:1].lower() + message[1:]


def _advice(error: Any, model: type[BaseModel], path: Path) -> str:
    kind = error["type"]
    if kind == "extra_forbidden":
        known = sorted(_keys_at(model, path[:-1]))
        near = get_close_matches(str(path[-1]), known, n=1, cutoff=0.6)
        if near:
            return f"did you mean {near[0]}?"
        return f"known here: {', '.join(known)}" if known else "remove it"
    if kind == "missing":
        return "add it"
    return next((advice for prefix, advice in _ADVICE if kind.startswith(prefix)), "correct the value")


def _keys_at(model: type[BaseModel], path: Path) -> set[str]:
    """The keys that the schema knows at a path."""
    found: list[Any] = [model]
    for part in path:
        found = [inner for annotation in found for inner in _step(annotation, part)]
    models = [m for annotation in found for m in _models(annotation)]
    return {field.alias or name for m in models for name, field in m.model_fields.items()}


def _step(annotation: Any, part: str | int) -> Iterator[Any]:
    for each in _alternatives(annotation):
        if isinstance(each, type) and issubclass(each, BaseModel):
            for name, field in each.model_fields.items():
                if part in (name, field.alias):
                    yield field.annotation
        elif arguments := get_args(each):
            # A dict's key comes first, its values second; lists and tuples hold one kind.
            yield arguments[1] if get_origin(each) is dict else arguments[0]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    for each in _alternatives(annotation):
        if isinstance(each, type) and issubclass(each, BaseModel):
            yield each


def _alternatives(annotation: Any) -> Iterator[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _alternatives(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for each in get_args(annotation):
            yield from _alternatives(each)
    else:
        yield annotation
