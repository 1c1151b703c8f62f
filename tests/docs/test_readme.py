"""README works when it is pasted, block after block, and prints what it shows."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.docs.pages import Block, Reader, blocks, matches
from tests.support.mesh import ROOT

README = ROOT / "README.md"


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl: install it with your package manager")
def test_every_block_works_in_order(reader: Reader) -> None:
    page = blocks(README)
    kinds = Counter(block.kind for block in page)
    assert kinds["sh"] >= 10
    assert kinds["python"] >= 3
    reader.read(page)


def test_every_link_leads_somewhere() -> None:
    pages = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    lost = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in pages
        for link in re.findall(r"\]\((?!https?://)([^)#]*)", page.read_text())
        if link and not (page.parent / link).exists()
    ]
    assert lost == []


def test_what_differs_is_noticed() -> None:
    assert matches("one … three\n", "one two three\n")
    assert not matches("one … three", "one two")
    assert not matches("one", "one two")


def test_blocks_are_read_with_what_they_show(tmp_path: Path) -> None:
    page = ROOT / "docs" / "architecture.md"
    assert [block.kind for block in blocks(page)] == ["text"]
    assert all(isinstance(block, Block) for block in blocks(README))
