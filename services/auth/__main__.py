"""Run the auth service alone: `python -m services.auth`."""

import sys

from services.mesh.cli import main

raise SystemExit(main(["serve", "auth", *sys.argv[1:]]))
