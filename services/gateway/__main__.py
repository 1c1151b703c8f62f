"""Run the gateway alone: `python -m services.gateway`."""

import sys

from services.mesh.cli import main

raise SystemExit(main(["serve", "gateway", *sys.argv[1:]]))
