"""`python -m services.mesh` is the `llmhub` command."""

from services.mesh.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
