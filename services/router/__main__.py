"""Run the router alone: `python -m services.router`."""

import sys

from services.mesh.cli import main

raise SystemExit(main(["serve", "router", *sys.argv[1:]]))
