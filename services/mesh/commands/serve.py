"""`llmhub serve SERVICE[,SERVICE…]`: a part of the mesh in this process."""

from __future__ import annotations

import argparse

from services.mesh.faults import Misuse
from services.mesh.shapes import SERVICES, Process
from services.mesh.source import Source

EDGE = "edge"


def serve(options: argparse.Namespace) -> int:
    """Run the named services, or the edge, until stopped."""
    from services.mesh.children import end_with_supervisor
    from services.mesh.commands.opening import configure_logs, opened
    from services.mesh.places import locked, locked_parts

    if options.member:
        end_with_supervisor()
    names = tuple(dict.fromkeys(name.strip() for name in (options.services or "").split(",") if name.strip()))
    only = _only(options.only, names)
    source = opened(options)
    configure_logs(source.config, "warning" if options.member else "info")
    from services.mesh import front, member
    from services.runtime.process import run

    if names == (EDGE,):
        with locked_parts(source.places, (EDGE,)):
            front.require_free_port(source.config.edge.host, source.config.edge.port)
            return run(member.run_edge(source))
    if options.member:
        process, workers = _member(source, options.member)
        with locked(source.places, process.name):
            return run(member.run(source, process, workers))
    process = _process(source, names, only)
    with locked_parts(source.places, _locks(names, only)):
        return run(member.run(source, process, None))


def _locks(names: tuple[str, ...], only: frozenset[str] | None) -> set[str]:
    """What no other process on the same data may serve too: services, and providers that are served one by one."""
    from services.mesh.shapes import short_name

    if only is None:
        return set(names)
    return {name for name in names if name != "providers"} | {
        f"providers-{short_name(name)}" for name in only
    }


def _only(given: str | None, names: tuple[str, ...]) -> frozenset[str] | None:
    if given is None:
        return None
    if "providers" not in names:
        raise Misuse("--only names providers, so it goes with `serve providers`")
    return frozenset(name.strip() for name in given.split(",") if name.strip())


def _process(source: Source, names: tuple[str, ...], only: frozenset[str] | None) -> Process:
    from services.mesh.resolve import providers_of
    from services.mesh.shapes import mesh

    unknown = [name for name in names if name not in SERVICES]
    if unknown == [EDGE]:
        raise Misuse("the edge is a process of its own: llmhub serve edge")
    if unknown or not names:
        raise Misuse(
            f"no service is called {', '.join(unknown) or '(nothing)'}; there are: {', '.join((*SERVICES, EDGE))}"
        )
    if only is not None:
        strangers = sorted(only - set(providers_of(source.config)))
        if strangers:
            raise Misuse(f"no provider is called {', '.join(strangers)} in the configuration")
    return mesh(source.config, source.places, names, only)


def _member(source: Source, member: str) -> tuple[Process, int]:
    """A process of `llmhub up --workers N`, named `NAME/N` by its supervisor."""
    from services.mesh.shapes import workers

    name, _, count = member.partition("/")
    number = int(count)
    return next(each for each in workers(source.places, number).processes if each.name == name), number
