"""Files and functions stay small enough to be read whole. There is no list of exceptions."""

import ast
import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HAND_WRITTEN = ("services", "tests", "tools", "sdk", "bench", "examples")
NOT_OURS = {"_generated", "gen", "__pycache__", "node_modules"}
MOST_LINES_IN_A_FILE = 400
MOST_LINES_IN_A_FUNCTION = 60


def python_files() -> Iterator[Path]:
    for folder in HAND_WRITTEN:
        for parent, folders, names in os.walk(ROOT / folder):
            # Hidden folders hold installed programs, not source.
            folders[:] = sorted(set(folders) - NOT_OURS - {name for name in folders if name.startswith(".")})
            yield from (Path(parent) / name for name in sorted(names) if name.endswith(".py"))


def long_functions(source: str) -> Iterator[tuple[str, int, int]]:
    """Name, first line and length of every function past the limit, decorators not counted."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MOST_LINES_IN_A_FUNCTION:
                yield node.name, node.lineno, length


def test_files_are_found() -> None:
    assert Path(__file__).resolve() in set(python_files())


def test_no_file_is_too_long() -> None:
    lengths = {file: len(file.read_text().splitlines()) for file in python_files()}
    found = [
        f"{file.relative_to(ROOT)}: {n} lines" for file, n in lengths.items() if n > MOST_LINES_IN_A_FILE
    ]
    assert not found, f"over {MOST_LINES_IN_A_FILE} lines:\n" + "\n".join(found)


def test_no_function_is_too_long() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{line}: {name} has {length} lines"
        for file in python_files()
        for name, line, length in long_functions(file.read_text())
    ]
    assert not found, f"over {MOST_LINES_IN_A_FUNCTION} lines:\n" + "\n".join(found)


def test_a_long_function_is_seen() -> None:
    body = "    x = 1\n" * MOST_LINES_IN_A_FUNCTION
    assert list(long_functions(f"def fits():\n{body[:-10]}")) == []
    assert list(long_functions(f"async def long():\n{body}")) == [("long", 1, MOST_LINES_IN_A_FUNCTION + 1)]
