"""Prints the Envoy configuration of a mesh: `python -m services.mesh.edge --config FILE`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from services.mesh import front, shapes
from services.mesh.config import Config
from services.mesh.edge import DESCRIPTORS, render, to_yaml
from services.mesh.places import Places
from services.runtime.settings import ConfigError, load

_HEADER = """\
# Rendered from {source} by `python -m services.mesh.edge`; a test keeps it true. Do not edit: change the source.
# What the edge does and does not do: README.md beside this file.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Render and print. The files that the configuration names need not exist on this machine."""
    parser = argparse.ArgumentParser(prog="python -m services.mesh.edge", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, metavar="FILE")
    parser.add_argument(
        "--descriptors", type=Path, default=DESCRIPTORS, metavar="FILE", help="where Envoy finds it"
    )
    parser.add_argument("--run", type=Path, default=Path("/run/llmhub"), metavar="DIR", help="for sockets")
    options = parser.parse_args(arguments)
    try:
        config = load(options.config, Config, os.environ)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    places = Places(config.data_dir, options.run)
    plan = front.plan(config, places, shapes.mesh_upstreams(config, places))
    # Routes come from the contract here, the path is that of the machine where Envoy runs.
    rendered = to_yaml(render(replace(plan, descriptors=DESCRIPTORS)))
    text = rendered.replace(str(DESCRIPTORS), str(options.descriptors))
    print(_HEADER.format(source=options.config.name) + text, end="")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
