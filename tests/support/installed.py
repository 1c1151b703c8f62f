"""Packages that are installed for one test: modules on the path, with the metadata that entry points are found by."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest


def install(
    monkeypatch: pytest.MonkeyPatch, folder: Path, name: str, points: Mapping[str, str], **modules: str
) -> None:
    """Install a package that offers these providers, dialect → `module:object`; modules by their source."""
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = "\n".join(f"{dialect} = {target}" for dialect, target in points.items())
    (metadata / "entry_points.txt").write_text(f"[llmhub.providers]\n{lines}\n")
    for module, source in modules.items():
        (folder / f"{module}.py").write_text(source)
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.syspath_prepend(str(folder))


def install_tree(monkeypatch: pytest.MonkeyPatch, folder: Path, tree: Path) -> None:
    """Install the package of a source tree as its pyproject.toml describes it."""
    project = tomllib.loads((tree / "pyproject.toml").read_text())["project"]
    install(
        monkeypatch, folder, project["name"].replace("-", "_"), project["entry-points"]["llmhub.providers"]
    )
    monkeypatch.syspath_prepend(str(tree))
