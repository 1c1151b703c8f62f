"""A reader with a mesh of his own, started without configuration."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import Reader
from tests.support.mesh import ROOT, Mesh


@pytest.fixture(scope="module")
def reader(short_folder: Path) -> Iterator[Reader]:
    folder = Path(tempfile.mkdtemp(dir=short_folder))
    (folder / ".venv").symlink_to(Path(sys.executable).parents[1])
    for name in ("proto", "gen", "examples"):
        (folder / name).symlink_to(ROOT / name)
    reader = Reader(Mesh(folder, {}, environment={"LLMHUB_BOOTSTRAP_KEY": ""}))
    reader.start()
    yield reader
    reader.mesh.stop()
