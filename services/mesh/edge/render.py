"""The whole Envoy configuration, as data and as YAML."""

from __future__ import annotations

from typing import Any

import yaml

from services.mesh.edge.clusters import clusters
from services.mesh.edge.listener import listener
from services.mesh.edge.methods import public_methods
from services.mesh.edge.plan import EdgePlan


def render(plan: EdgePlan) -> dict[str, Any]:
    """Return the configuration for an edge. Raises ContractIncomplete."""
    methods = public_methods(plan.descriptors)
    return {
        "admin": {"address": {"pipe": {"path": str(plan.admin_socket), "mode": 0o600}}},
        "static_resources": {"listeners": [listener(plan, methods)], "clusters": clusters(plan)},
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.resource_monitors."
                        "downstream_connections.v3.DownstreamConnectionsConfig",
                        "max_active_downstream_connections": 50_000,
                    },
                }
            ]
        },
    }


class _Plain(yaml.SafeDumper):
    """Writes repeated parts out: readers should not have to follow anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def to_yaml(config: dict[str, Any]) -> str:
    """Write a configuration as YAML, in the order it was made."""
    return yaml.dump(config, Dumper=_Plain, sort_keys=False, width=110, allow_unicode=True)
