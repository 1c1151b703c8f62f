"""The recipes of docs/programs.md, as they are run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tests.support.mesh import ROOT

PAGE: Final = ROOT / "docs" / "programs.md"
ADDRESS: Final = "http://127.0.0.1:8080"
_BLOCK: Final = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MODEL: Final = re.compile(
    r"\b(?:anthropic|openai|gemini|local)/[a-z][a-z0-9.-]*\d[a-z0-9.-]*\b|\blocal/[a-z0-9-]+"
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What stands under one heading."""

    title: str
    kind: str
    text: str

    def at(self, address: str, model: str) -> str:
        """Return it for an address and a model."""
        assert ADDRESS in self.text, f"{self.title} names no address"
        changed, found = _MODEL.subn(model, self.text)
        assert found, f"{self.title} names no model"
        return changed.replace(ADDRESS, address)


def recipes() -> Mapping[str, Recipe]:
    """Return the page's recipes by their titles."""
    _, *sections = PAGE.read_text().split("\n## ")
    found = {}
    for section in sections:
        title = section.partition("\n")[0]
        block = _BLOCK.search(section)
        assert block is not None, f"there is nothing to run under {title}"
        found[title] = Recipe(title, block[1], block[2])
    return found
