"""The edge: the Envoy configuration as data, rendered from the contract and the addresses of the services."""

from services.mesh.edge.plan import DESCRIPTORS, EdgePlan, Tls
from services.mesh.edge.render import render, to_yaml

__all__ = ["DESCRIPTORS", "EdgePlan", "Tls", "render", "to_yaml"]
