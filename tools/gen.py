"""Generates gen/, the SDK's messages, the tests' own stubs and tables of docs/; `--check` only compares."""

from __future__ import annotations

import argparse
import filecmp
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tools import schemas
from tools.openapi import complete

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
THIRD_PARTY = PROTO / "third_party"
TEST_PROTO = ROOT / "tests" / "proto"
VALIDATE = "buf/validate/validate.proto"
# Envoy's transcoder turns status details into JSON only when it can find their types.
ERROR_DETAILS = "google/rpc/error_details.proto"
STATUS = "google/rpc/status.proto"

OPENAPI_MODULE = "github.com/google/gnostic/cmd/protoc-gen-openapi"
OPENAPI_VERSION = "v0.7.1"
OPENAPI_OPTIONS = (
    "title=llmhub",
    "version=v1",
    "naming=proto",  # as the edge prints JSON: preserve_proto_field_names
    "fq_schema_naming=true",
    "enum_type=string",
    "default_response=true",
)


class GenerationFailed(Exception):
    """A generator refused its input; the message is for people."""


@dataclass(frozen=True, slots=True)
class Step:
    """One generator: what it writes, relative to the repository, and the tools it needs beside Python."""

    name: str
    writes: str
    needs: tuple[str, ...]
    run: Callable[[Path], None]
    whole: bool = True
    """Nothing else is in that folder: what the generator does not write is left over."""


def proto_files(root: Path, *, with_services_only: bool = False) -> list[str]:
    """Proto files under an import root that are ours, relative to it, sorted."""
    files = sorted(file for file in root.rglob("*.proto") if THIRD_PARTY not in file.parents)
    if with_services_only:
        files = [file for file in files if re.search(r"^service\s", file.read_text(), re.MULTILINE)]
    return [file.relative_to(root).as_posix() for file in files]


def contract_files(*, with_services_only: bool = False) -> list[str]:
    return proto_files(PROTO, with_services_only=with_services_only)


def call(command: list[str], **environment: str) -> None:
    """Runs a command in the repository with this environment's programs first on PATH."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PATH": path, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise GenerationFailed(f"{' '.join(command[:4])} …\n{done.stdout.strip()}")


def protoc(arguments: list[str], files: list[str], root: Path = PROTO) -> None:
    if files:
        includes = [f"-I{root}", f"-I{THIRD_PARTY}"]
        call([sys.executable, "-m", "grpc_tools.protoc", *includes, *arguments, *files])


def python_modules(out: Path, root: Path, more: list[str]) -> None:
    """Messages with types for all files; stubs and servicers with types for those that define a service."""
    protoc([f"--python_out={out}", f"--mypy_out=quiet:{out}"], [*more, *proto_files(root)], root)
    protoc(
        [f"--grpc_python_out={out}", f"--mypy_grpc_out=quiet,only_async:{out}"],
        proto_files(root, with_services_only=True),
        root,
    )


def python_code(out: Path) -> None:
    python_modules(out, PROTO, [VALIDATE])


def python_test_code(out: Path) -> None:
    """A contract of the tests' own, for what runs any service."""
    python_modules(out, TEST_PROTO, [])


def descriptor_set(out: Path) -> None:
    protoc(
        ["--include_imports", f"--descriptor_set_out={out / 'llmhub.binpb'}"],
        [ERROR_DETAILS, *contract_files()],
    )


def sdk_messages(out: Path) -> None:
    """betterproto2 messages for the Python SDK; it calls them through grpc.aio, so no client is generated."""
    options = "client_generation=none,server_generation=none"
    protoc(
        [f"--python_betterproto2_out={out}", f"--python_betterproto2_opt={options}"],
        [STATUS, ERROR_DETAILS, *contract_files()],
    )
    code = "".join(file.read_text() for file in (out / "llmhub").rglob("*.py"))
    # Options only annotate the contract: a client has no use for the types behind them.
    for package in ("buf", "google/api"):
        if f"___{package.replace('/', '__')}" not in code:
            shutil.rmtree(out / package, ignore_errors=True)


def typescript(out: Path) -> None:
    if not contract_files():
        return
    install_node_tools()
    # The template's `out` is relative to the -o folder.
    with tempfile.TemporaryDirectory() as base:
        call(["buf", "generate", "proto", "-o", base])
        shutil.copytree(Path(base) / "gen" / "web", out, dirs_exist_ok=True)


def install_node_tools() -> None:
    lock, installed = ROOT / "package-lock.json", ROOT / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        call(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"])


def docs(out: Path) -> None:
    """In a process of its own, which sees the Python that was just generated."""
    call([sys.executable, "-m", "tools.contract_docs", str(out)])


def openapi(out: Path) -> None:
    files = contract_files(with_services_only=True)
    if not files:
        return
    plugin = install_openapi_plugin()
    # The plugin is written in Go and wants a Go package per file, which the contract need not name.
    packages = [f"M{file}={Path(file).parent}" for file in contract_files()]
    protoc(
        [
            f"--plugin=protoc-gen-openapi={plugin}",
            f"--openapi_out={out}",
            f"--openapi_opt={','.join([*OPENAPI_OPTIONS, *packages])}",
        ],
        files,
    )
    descriptor_set(out)
    raw, descriptors, document = out / "openapi.yaml", out / "llmhub.binpb", out / "llmhub.yaml"
    document.write_text(complete(raw.read_text(), descriptors.read_bytes()))
    raw.unlink()
    descriptors.unlink()
    call([sys.executable, "-m", "openapi_spec_validator", str(document)])


def install_openapi_plugin() -> Path:
    folder = ROOT / ".tools" / f"protoc-gen-openapi-{OPENAPI_VERSION}"
    if not (folder / "protoc-gen-openapi").exists():
        call(["go", "install", f"{OPENAPI_MODULE}@{OPENAPI_VERSION}"], GOBIN=str(folder))
    return folder / "protoc-gen-openapi"


STEPS = (
    Step("Python", "gen/python", (), python_code),
    Step("Python of the tests", "tests/gen", (), python_test_code),
    Step("descriptor set", "gen/descriptors", (), descriptor_set),
    Step("SDK messages", "sdk/python/llmhub_client/_generated", (), sdk_messages),
    Step("TypeScript", "gen/web", ("node", "npm"), typescript),
    Step("OpenAPI", "gen/openapi", ("go",), openapi),
    Step("schemas of new databases", "services", (), schemas.write, whole=False),
    Step("tables of the documentation", "docs", (), docs, whole=False),
)


def differences(expected: Path, actual: Path, *, whole: bool = True) -> Iterator[str]:
    """Paths that are missing, left over (if `whole`) or different in `actual`, relative to both."""
    fresh, present = file_names(expected), file_names(actual)
    if not whole:
        present &= fresh
    for name in sorted(fresh | present):
        if name not in present:
            yield f"missing  {name}"
        elif name not in fresh:
            yield f"stale    {name}"
        elif not filecmp.cmp(expected / name, actual / name, shallow=False):
            yield f"changed  {name}"


def file_names(folder: Path) -> set[str]:
    files = (file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return {file.relative_to(folder).as_posix() for file in files}


def replace(source: Path, target: Path, *, whole: bool = True) -> None:
    """Makes `target` equal to `source`, touching only what differs."""
    for line in list(differences(source, target, whole=whole)):
        kind, name = line.split(maxsplit=1)
        if kind == "stale":
            (target / name).unlink()
        else:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, target / name)


def absent_tools(step: Step) -> list[str]:
    return [tool for tool in step.needs if shutil.which(tool) is None]


def run_step(step: Step, *, check: bool) -> list[str]:
    """Runs one generator; with `check` gives the differences instead of writing."""
    target = ROOT / step.writes
    with tempfile.TemporaryDirectory(prefix="llmhub-gen-") as folder:
        out = Path(folder)
        step.run(out)
        if check:
            return [f"{step.writes}: {line}" for line in differences(out, target, whole=step.whole)]
        replace(out, target, whole=step.whole)
        return []


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail on any difference")
    check = parser.parse_args().check
    found: list[str] = []
    for step in STEPS:
        if absent := absent_tools(step):
            word = "not checked" if check else "not generated"
            print(f"gen: {step.name} {word}: install {' and '.join(absent)} first", flush=True)
            if not check or os.environ.get("CI"):
                found.append(f"{step.writes}: {' and '.join(absent)} is missing")
            continue
        print(f"gen: {step.name}", flush=True)
        try:
            found += run_step(step, check=check)
        except GenerationFailed as failure:
            print(f"gen: {step.name} failed: {failure}", file=sys.stderr)
            return 1
    for line in found:
        print(f"gen: {line}", file=sys.stderr)
    if found and check:
        print("gen: run `make gen` and commit the result", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
