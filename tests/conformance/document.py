"""docs/conformance.md, made of what tests hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from tests.conformance.claims import COLUMNS
from tests.conformance.rules import REMARKS, RULES, Rule
from tests.conformance.table import Known, columns, recordings

HEAD: Final = """# Conformance

<!-- Made by `make conformance` from the tests' own lists. Do not edit. -->

{count} recorded exchanges with {providers} providers are in [tests/recordings](../tests/recordings), and each has to
pass these tests:

{columns}

A cell says how many of the recordings to which the test applies pass it; `–` where it applies to none. Whatever is not
held is [below](#what-is-not-held), with its reason: a recording that no test holds and no reason excuses fails the
build. Which doors work on which adapters is another matter: tests/matrix holds every pair, with what is lost between.
"""


class Unexplained(Exception):
    """Recordings that no test holds and no reason excuses, or reasons that excuse nothing."""


@dataclass(slots=True)
class Count:
    """One cell."""

    passed: int = 0
    applies: int = 0

    def __str__(self) -> str:
        return f"{self.passed}/{self.applies}" if self.applies else "–"


@dataclass(slots=True)
class Tally:
    """Every recording by column, and what rules excuse."""

    known: list[Known]
    held: dict[str, set[str]]
    excused: dict[Rule, dict[str, set[str]]] = field(default_factory=lambda: defaultdict(dict))
    """By rule and recording, the columns."""

    def cell(self, known: Iterable[Known], column: str) -> Count:
        """Count one cell. Exceptions of whole kinds do not apply; those by name do, and are not passed."""
        count = Count()
        for each in known:
            if column == "request again" and not each.asked:
                continue
            if each.name in self.held[column]:
                count.passed += 1
                count.applies += 1
            elif not self._excuse(each, column).title:
                count.applies += 1
        return count

    def _excuse(self, known: Known, column: str) -> Rule:
        # A recording's own reason says more than that of its kind.
        for rule in reversed(RULES):
            if column in rule.columns and rule.covers(known):
                self.excused[rule].setdefault(known.name, set()).add(column)
                return rule
        message = f"{known.name} ({known.endpoint}): no test of the column {column!r} holds it"
        raise Unexplained(message)

    def row(self, known: Iterable[Known]) -> list[str]:
        """Return the cells of a row."""
        kept = list(known)
        return [str(len(kept)), *(str(self.cell(kept, column)) for column in COLUMNS)]


def render() -> str:
    """Return the document. Raises Unexplained."""
    tally = Tally(recordings(), columns())
    providers = sorted({each.provider for each in tally.known})
    told = "\n".join(f"- **{name}**: {meaning}." for name, meaning in COLUMNS.items())
    parts = [
        HEAD.format(count=len(tally.known), providers=len(providers), columns=told),
        "## By provider and endpoint\n",
        _by_endpoint(tally),
        "\n## By feature\n\nThe tags are read off the recorded bytes; a recording has several.\n",
        _by_feature(tally),
        "\n## What is not held\n",
        _excuses(tally),
    ]
    unused = [rule for rule in RULES if rule not in tally.excused]
    if unused:
        message = f"these excuse nothing: {[rule.title or rule.reason for rule in unused]}"
        raise Unexplained(message)
    return "\n".join(parts)


def _table(head: list[str], rows: Iterable[list[str]], texts: int) -> str:
    rule = ["---"] * texts + ["--:"] * (len(head) - texts)
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *rows)) + "\n"


def _by_endpoint(tally: Tally) -> str:
    groups: dict[tuple[str, str], list[Known]] = defaultdict(list)
    for each in tally.known:
        groups[each.provider, each.endpoint].append(each)
    rows = [[*group, *tally.row(known)] for group, known in sorted(groups.items())]
    rows.append(["**all**", "", *tally.row(tally.known)])
    return _table(["provider", "endpoint", "recordings", *COLUMNS], rows, 2)


def _by_feature(tally: Tally) -> str:
    groups: dict[str, list[Known]] = defaultdict(list)
    for each in tally.known:
        for feature in each.features:
            if ":" not in feature:
                groups[feature].append(each)
    rows = [[feature, *tally.row(known)] for feature, known in sorted(groups.items())]
    return _table(["feature", "recordings", *COLUMNS], rows, 1)


def _excuses(tally: Tally) -> str:
    kinds, names = [], []
    for rule in RULES:
        where = ", ".join(rule.columns)
        if rule.title:
            kinds.append([rule.title, str(len(tally.excused[rule])), where, rule.reason])
        else:
            names += [
                [name, ", ".join(column for column in COLUMNS if column in found), rule.reason]
                for name, found in sorted(tally.excused[rule].items())
            ]
    remarks = [[name, reason] for name, reason in sorted(REMARKS.items())]
    return "\n".join(
        (
            "Whole kinds, to which a test does not apply:\n",
            _table(["kind", "recordings", "columns", "reason"], kinds, 4),
            "Single recordings:\n",
            _table(["recording", "columns", "reason"], names, 3),
            "Held, but otherwise than one would think:\n",
            _table(["recording", "how"], remarks, 2),
        )
    )
