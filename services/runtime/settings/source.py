"""A configuration file as plain values, with the line of every key."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path as File
from typing import Any, Final

import yaml

from services.runtime.settings.fault import Fault, Path, dotted

VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}\n]*))?\}")
"""`${NAME}` or `${NAME:-default}`."""

_MOST_VALUES: Final = 100_000
# A variable's braces would end a YAML flow mapping. While parsing, characters of no meaning stand for it.
_MARK: Final = re.compile("\ue000([0-9]+)\ue001")
_Loader: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TOML_PLACE: Final = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_TOML_TABLE: Final = re.compile(r"^\s*\[(\[?)\s*(.+?)\s*\]?\]\s*(?:#.*)?$")
_TOML_KEY: Final = re.compile(
    r"""^\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*="""
)
_TOML_PART: Final = re.compile(r"""[\w-]+|"[^"]*"|'[^']*'""")


@dataclass(slots=True)
class Source:
    """The values of a file, the line on which each key or list item begins, and what was wrong in reading it."""

    file: str
    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[Path, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def line_of(self, path: Path) -> int | None:
        """The line of the value, or of the nearest thing around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)

    def fault(self, line: int | None, path: Path, what: str, advice: str) -> None:
        """Note a fault."""
        self.faults.append(Fault(self.file, line, dotted(path), what, advice))


def read(file: File) -> Source:
    """Read a YAML file, or a TOML file if its name ends so. Never raises: what went wrong is in the faults."""
    source = Source(str(file))
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        source.fault(None, (), f"cannot be read: {error.strerror}", "check the name and who may read it")
        return source
    except UnicodeDecodeError:
        source.fault(None, (), "is not UTF-8 text", "save it as UTF-8")
        return source
    if file.suffix == ".toml":
        _read_toml(text, source)
    else:
        _read_yaml(text, source)
    return source


def _read_toml(text: str, source: Source) -> None:
    try:
        source.values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _TOML_PLACE.search(str(error))
        line = int(place[1]) if place and place[1] else text.count("\n") + 1
        what = _TOML_PLACE.sub("", str(error))
        source.fault(line, (), f"is not valid TOML: {what}", "correct the line")
        return
    source.lines.update(_toml_lines(text))


def _toml_lines(text: str) -> Iterator[tuple[Path, int]]:
    table: Path = ()
    items: dict[Path, int] = {}
    fence = ""
    for number, line in enumerate(text.splitlines(), 1):
        if fence:
            fence = "" if fence in line else fence
        elif found := _TOML_TABLE.match(line):
            table = _toml_path(found[2])
            if found[1]:
                items[table] = items.get(table, -1) + 1
                yield table, number
                table = (*table, items[table])
            yield table, number
        elif found := _TOML_KEY.match(line):
            path = table + _toml_path(found[1])
            for length in range(len(table) + 1, len(path) + 1):
                yield path[:length], number
            fence = next((mark for mark in ('"""', "'''") if line.count(mark) == 1), "")


def _toml_path(text: str) -> Path:
    return tuple(part.strip("\"'") for part in _TOML_PART.findall(text))


def _read_yaml(text: str, source: Source) -> None:
    variables: list[str] = []

    def mark(found: re.Match[str]) -> str:
        variables.append(found[0])
        return f"\ue000{len(variables) - 1}\ue001"

    loader = _Loader(VARIABLE.sub(mark, text))
    try:
        root = loader.get_single_node()
        if root is not None:
            values = _YamlReader(source, variables, loader).value(root, ())
            if isinstance(values, dict):
                source.values = values
            else:
                source.fault(1, (), "has no keys", "write `key: value` lines")
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        what = _MARK.sub(lambda found: variables[int(found[1])], error.problem or "")
        source.fault(line, (), f"is not valid YAML: {what}", "correct the line; mind indentation and quotes")
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        source.fault(None, (), f"is not valid YAML: {type(error).__name__}", "correct the file")
    finally:
        loader.dispose()


class _YamlReader:
    """Builds plain values out of YAML nodes, as the safe loader does, but notes lines and duplicate keys."""

    def __init__(self, source: Source, variables: list[str], loader: Any) -> None:
        self._source = source
        self._variables = variables
        self._loader = loader
        self._count = 0

    def value(self, node: Any, path: Path) -> Any:
        self._count += 1
        if self._count > _MOST_VALUES:
            raise ValueError("too many values: aliases that repeat each other")
        self._source.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        if node.tag == "tag:yaml.org,2002:timestamp":
            return node.value
        value = self._loader.construct_object(node)
        return self._restored(value) if isinstance(value, str) else value

    def _mapping(self, node: Any, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        merged: list[Any] = []
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == "tag:yaml.org,2002:merge":
                merged += value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self._source.fault(line, path, "a key is not a text", "write `key: value`")
                continue
            key = self._restored(key_node.value)
            inner = (*path, key)
            if key in values:
                first = self._source.lines[inner]
                self._source.fault(line, inner, f"is given twice, first on line {first}", "keep one of them")
                continue
            self._source.lines[inner] = line
            values[key] = self.value(value_node, inner)
        for each in merged:
            if isinstance(each, yaml.MappingNode):
                values = {**self._mapping(each, path), **values}
        return values

    def _restored(self, text: str) -> str:
        return _MARK.sub(lambda found: self._variables[int(found[1])], text)
