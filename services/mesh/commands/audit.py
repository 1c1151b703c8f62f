"""`llmhub audit`: whether the books agree with themselves and with what the gateways recorded."""

from __future__ import annotations

import argparse


def audit(options: argparse.Namespace) -> int:
    """Print every difference; 0 when there is none."""
    from services.billing.app import audit as differences_of
    from services.mesh.commands.opening import configure_logs, opened
    from services.mesh.outboxes import states
    from services.mesh.resolve import billing_settings

    source = opened(options)
    configure_logs(source.config, "warning")
    differences = differences_of(billing_settings(source.config, source.places), states(source.places))
    for each in differences:
        print(f"{each.check}: {each.subject}: expected {each.expected}, found {each.found}")
    print(f"{len(differences)} differences" if differences else "no differences")
    return 1 if differences else 0
