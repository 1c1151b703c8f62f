"""Run billing alone: `python -m services.billing`."""

import sys

from services.mesh.cli import main

raise SystemExit(main(["serve", "billing", *sys.argv[1:]]))
