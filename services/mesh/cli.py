"""The `llmhub` command. Imports nothing heavy: help and mistakes are answered at once.

Exit codes: 0 done or stopped as asked; 1 the command failed or found faults; 2 wrong usage, or the port or the data
directory is in use.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

_SERVICES = "auth, billing, providers, router, gateway, edge"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if getattr(options, "run", None) is None:
        options.parser.print_help(sys.stderr)
        return 2
    # Before gRPC is imported: it would speak to the terminal each time that Envoy or a worker is started.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    module, _, function = options.run.partition(":")
    run: Callable[[argparse.Namespace], int] = getattr(import_module(module), function)
    from services.mesh.faults import explained

    return explained(lambda: run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="llmhub",
        description="Every LLM provider behind one contract, on one port.",
        epilog="Exit codes: 0 done, or stopped as asked; 1 failed, or faults found; "
        "2 wrong usage, or the port or the data directory is in use.",
    )
    parser.set_defaults(parser=parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _up(commands)
    _serve(commands)
    _config(commands)
    _keys(commands)
    _providers(commands)
    audit = _command(
        commands, "audit", "services.mesh.commands.audit:audit", "compare the books with the outboxes"
    )
    _common(audit)
    _command(commands, "version", "services.mesh.commands.version:version", "print the version")
    return parser


def _up(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    up = _command(commands, "up", "services.mesh.commands.up:up", "start everything on this machine")
    _common(up)
    up.add_argument("--port", type=int, metavar="N", help="the edge's port (LLMHUB_PORT, edge.port; 8080)")
    up.add_argument(
        "--workers", type=int, metavar="N", default=0, help="data-plane processes; 0: all in one process"
    )


def _serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    serve = _command(commands, "serve", "services.mesh.commands.serve:serve", "run a part of the mesh")
    serve.add_argument("services", metavar="SERVICE[,SERVICE…]", nargs="?", help=_SERVICES)
    serve.add_argument("--member", help=argparse.SUPPRESS)  # a process of `up --workers N`
    _common(serve)
    serve.add_argument("--only", metavar="P1,P2", help="serve only these providers")
    serve.add_argument("--port", type=int, metavar="N", help="the edge's port")


def _config(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    config = commands.add_parser("config", help="check a configuration file")
    config.set_defaults(parser=config)
    actions = config.add_subparsers(title="actions", metavar="ACTION")
    check = _command(actions, "check", "services.mesh.commands.config:check", "list every fault of a file")
    check.add_argument("file", metavar="FILE")


def _keys(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    keys = commands.add_parser("keys", help="create, list and revoke API keys")
    keys.set_defaults(parser=keys)
    actions = keys.add_subparsers(title="actions", metavar="ACTION")
    create = _command(actions, "create", "services.mesh.commands.keys:create", "make a key and print it")
    create.add_argument("--name", required=True, help="what the key is for")
    create.add_argument(
        "--scope", action="append", metavar="SCOPE", default=[],
        help="inference, catalog_read, usage_read, keys_manage, admin; may be repeated (inference and catalog_read)",
    )  # fmt: skip
    create.add_argument(
        "--model",
        action="append",
        metavar="PATTERN",
        default=[],
        help="allow only these models; may be repeated",
    )
    create.add_argument("--environment", choices=("live", "test"), default="live")
    create.add_argument("--expires-in", metavar="DURATION", help="for example 12h or 30d; without it: never")
    _common(create)
    _common(
        _command(actions, "list", "services.mesh.commands.keys:list_keys", "list all keys, without secrets")
    )
    revoke = _command(actions, "revoke", "services.mesh.commands.keys:revoke", "end a key for good")
    revoke.add_argument("key_id", metavar="KEY_ID")
    _common(revoke)


def _providers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    providers = commands.add_parser("providers", help="list providers, and try one")
    providers.set_defaults(parser=providers)
    actions = providers.add_subparsers(title="actions", metavar="ACTION")
    where = "services.mesh.commands.providers"
    listed = _command(actions, "list", f"{where}:list_providers", "list what the configuration has")
    test = _command(actions, "test", f"{where}:test", "try the credentials, the list of models, and a call")
    test.add_argument("name", metavar="NAME")
    test.add_argument(
        "--model", metavar="M", help="the model to call, as the provider names it (the first one configured)"
    )
    for command in (listed, test):
        command.add_argument(
            "--config", metavar="FILE", help="YAML or TOML (llmhub.yaml here, if there is one)"
        )


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, run: str, text: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=f"{text[:1].upper()}{text[1:]}.")
    command.set_defaults(run=run, parser=command)
    return command


def _common(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config", metavar="FILE", help="YAML or TOML (llmhub.yaml here, if there is one)")
    command.add_argument("--data", metavar="DIR", help="data directory (LLMHUB_DATA_DIR, data_dir; .llmhub)")
