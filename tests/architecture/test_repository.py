"""What every file of the repository must keep to, whatever it is about."""

import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Joined here, so that this file can be checked too.
REGISTRY_HOSTS = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("registry", "npmjs"),
        ("registry", "yarnpkg"),
        ("proxy", "golang"),
        ("sum", "golang"),
        ("crates", "io"),
    )
)
MACHINE_PATH = re.compile(r"(?<![\w.~}\]-])/(?:root|work|farm|home/\w+|Users/\w+)/")
# Recorded traffic is kept byte for byte, whatever a provider wrote into it.
RECORDED = re.compile(r"(^|/)recordings/")


def tracked_files() -> list[Path]:
    """Files git knows; outside a clone there is nothing to check."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z"]
    try:
        listed = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git clone: install git and clone the repository to run this")
    names = [name for name in listed.split("\0") if name and not RECORDED.search(name)]
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def text_lines(files: list[Path]) -> Iterator[tuple[str, str]]:
    """Place (file:line) and text of every line that is text."""
    for file in files:
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            yield f"{file.relative_to(ROOT)}:{number}", line


def test_no_file_names_a_package_registry() -> None:
    places = [
        place for place, line in text_lines(tracked_files()) if any(host in line for host in REGISTRY_HOSTS)
    ]
    assert not places, "these lines tie the project to one registry:\n" + "\n".join(places)


def test_no_file_names_a_path_of_one_machine() -> None:
    places = [place for place, line in text_lines(tracked_files()) if MACHINE_PATH.search(line)]
    assert not places, "these lines name a path of one machine:\n" + "\n".join(places)


def test_machine_paths_are_told_from_others() -> None:
    assert MACHINE_PATH.search('open("' + "/root" + '/x")')
    assert not MACHINE_PATH.search("https://example.test/home/page/ and {folder}/work/x and a/root/b")


def test_every_make_target_explains_itself() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    explained = set(re.findall(r"^([a-z][a-z-]*):.*## \S", makefile, re.MULTILINE))
    assert {"run", "test", "check", "gen", "bench", "help"} <= targets
    assert targets == explained


def test_workflows_and_hooks_run_only_make_targets() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    texts = [file.read_text() for file in (ROOT / ".github" / "workflows").glob("*.yml")]
    texts.append((ROOT / ".pre-commit-config.yaml").read_text())
    commands = [found for text in texts for found in re.findall(r"(?:run|entry): ([^,\n}]+)", text)]
    assert commands
    assert [command for command in commands if command.removeprefix("make ") not in targets] == []


def test_the_generated_tree_stays_a_namespace() -> None:
    found = [file for file in ROOT.glob("gen/python/**/__init__.py") if file.is_file()]
    assert found == [], "a hand-written package called llmhub would hide the generated one"


def test_every_dialect_stands_in_the_direction_rules() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = settings["tool"]["importlinter"]["contracts"]
    layers = next(c["layers"] for c in contracts if c.get("containers") == ["services.dialects"])
    named = set(re.findall(r"\w+", " ".join(layers)))
    folders = (ROOT / "services" / "dialects").iterdir()
    dialects = {folder.name for folder in folders if (folder / "__init__.py").exists()}
    assert dialects - {"profiles"} <= named
