"""`llmhub up`: everything on this machine."""

from __future__ import annotations

import argparse

from services.mesh.announce import Steps


def up(options: argparse.Namespace) -> int:
    """Start the all-in-one shape, or one control process and N workers; return when stopped."""
    from services.mesh import front
    from services.mesh.commands.opening import configure_logs, opened
    from services.mesh.faults import Misuse
    from services.mesh.places import EVERYTHING, locked
    from services.runtime.process import run

    if options.workers < 0:
        raise Misuse("--workers must be 0 or more")
    steps = Steps()
    source = opened(options)
    with locked(source.places, EVERYTHING):
        front.require_free_port(source.config.edge.host, source.config.edge.port)
        configure_logs(source.config, "warning")
        steps.say(f"configuration: {source.file or 'built-in defaults'}; data: {source.places.data}")
        if options.workers:
            from services.mesh.crew import Crew

            return run(Crew(source, options.workers, steps).run())
        from services.mesh.hub import Hub

        return run(Hub(source, steps).run())
