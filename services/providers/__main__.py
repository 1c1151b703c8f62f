"""Run the providers service alone: `python -m services.providers`."""

import sys

from services.mesh.cli import main

raise SystemExit(main(["serve", "providers", *sys.argv[1:]]))
