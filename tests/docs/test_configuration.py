"""docs/configuration.md names every key of the schema with its default, and its examples are accepted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from services.billing.domain.price import Unit
from services.dialects.names import DIALECTS
from services.dialects.openai.profile import PROFILES
from services.mesh import loading
from services.mesh.config import Config
from services.mesh.resolve import providers_of
from services.router.convert import CAPABILITY_NAMES, MODALITY_NAMES
from services.runtime.settings import ALIASES
from tests.docs.pages import Reader, blocks
from tests.support.mesh import ROOT

PAGE = ROOT / "docs" / "configuration.md"
WORDS = {None: ("none", "unknown", "by command"), (): ("empty",), "": ("empty",)}
"""How the page writes defaults that are nothing."""


def rows() -> dict[str, list[str]]:
    """The tables of keys: key → type, default, meaning."""
    found: dict[str, list[str]] = {}
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        key = re.fullmatch(r"`([a-z_.A-Z]+)`", cells[0])
        if key and len(cells) == 4 and not key[1].startswith("LLMHUB_"):
            found[key[1]] = cells[1:]
    return found


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every key of the schema by its dotted path."""
    for name, field in model.model_fields.items():
        inner = list(models_in(field.annotation))
        if not inner or field.is_required() or not isinstance(field.default, BaseModel):
            yield prefix + name, field
        for each in inner:
            yield from keys(each, f"{prefix}{name}.{'NAME.' if holds_dict(field.annotation) else ''}")


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for each in get_args(annotation):
        yield from models_in(each)


def holds_dict(annotation: Any) -> bool:
    return get_origin(annotation) is dict or any(holds_dict(each) for each in get_args(annotation))


SCHEMA = dict(keys(Config))


def test_every_key_is_described_and_no_other() -> None:
    sections = {"providers.NAME.limits"}
    assert set(rows()) - sections == set(SCHEMA)


@pytest.mark.parametrize("key", sorted(SCHEMA))
def test_the_default_is_the_one_of_the_schema(key: str) -> None:
    field = SCHEMA[key]
    shown = rows()[key][1]
    if field.is_required():
        assert shown == "required"
        return
    default = field.get_default(call_default_factory=True)
    if isinstance(default, dict):
        default = ()
    if default in WORDS:
        assert shown in WORDS[default]
    else:
        text = str(default).lower() if isinstance(default, bool) else str(default)
        assert shown == f"`{text}`"


def test_words_that_a_value_may_be_are_named() -> None:
    described = rows()
    dialects = described["providers.NAME.dialect"][2]
    assert [word for word in DIALECTS if f"`{word}`" not in dialects] == []
    profiles = described["providers.NAME.profile"][2]
    assert [word for word in PROFILES if f"`{word}`" not in profiles] == []
    assert set(re.findall(r"`(\w+)`", described["billing.prices.prices"][2])) == set(Unit)
    assert [
        word
        for word in CAPABILITY_NAMES
        if f"`{word}`" not in described["providers.NAME.models.NAME.capabilities"][2]
    ] == []
    modalities = described["providers.NAME.models.NAME.input_modalities"][2]
    assert set(re.findall(r"`(\w+)`", modalities)) == MODALITY_NAMES


def test_variables_with_names_of_their_own_are_described() -> None:
    text = PAGE.read_text()
    for variable, key in ALIASES.items():
        assert f"| `{variable}` | `{key}` |" in text


@pytest.mark.parametrize("page", [PAGE, ROOT / "README.md"], ids=lambda page: page.name)
def test_examples_are_accepted(page: Path, tmp_path: Path) -> None:
    examples = [block for block in blocks(page) if block.kind == "yaml"]
    assert examples
    for example in examples:
        file = tmp_path / "llmhub.yaml"
        file.write_text(example.text)
        unset = loading.load(file, {}, {})
        assert unset.providers.keys() <= providers_of(unset).keys()
        names = set(re.findall(r"\$\{(\w+)", example.text))
        every = loading.load(file, dict.fromkeys(names, "given"), {})
        assert [name for name, provider in every.providers.items() if provider.missing] == []


def test_its_blocks_print_what_they_show(reader: Reader) -> None:
    reader.read(blocks(PAGE))
