"""Whom the edge reaches: one cluster per service, one endpoint per process."""

from __future__ import annotations

import ipaddress
from typing import Any, Final

from services.mesh.edge.plan import MIB, EdgePlan, Tls

_HTTP_OPTIONS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_TLS_SOCKET: Final = "envoy.transport_sockets.tls"
_UPSTREAM_TLS: Final = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
_MOST: Final = 65_536


def clusters(plan: EdgePlan) -> list[dict[str, Any]]:
    """Return a cluster for every upstream of the plan."""
    return [_cluster(plan, name, addresses) for name, addresses in plan.upstreams.items()]


def _cluster(plan: EdgePlan, name: str, addresses: tuple[str, ...]) -> dict[str, Any]:
    remote = [address for address in addresses if not address.startswith("unix:")]
    by_name = any(not _is_ip(address) for address in remote)
    cluster: dict[str, Any] = {
        "name": name,
        "type": "STRICT_DNS" if by_name else "STATIC",
        "connect_timeout": "2s",
        "lb_policy": "LEAST_REQUEST",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": _endpoints(addresses)}]},
        "per_connection_buffer_limit_bytes": MIB,
        # The gateway says no when it is full, in the caller's shape; the edge must not do it before.
        "circuit_breakers": {
            "thresholds": [
                {
                    "max_connections": _MOST,
                    "max_pending_requests": _MOST,
                    "max_requests": _MOST,
                    "max_retries": 64,
                }
            ]
        },
        "typed_extension_protocol_options": {_HTTP_OPTIONS: _protocol(name)},
    }
    if len(addresses) > 1 or by_name:
        cluster |= _watching(name)
    if by_name:
        cluster["dns_lookup_family"] = "V4_PREFERRED"
    if remote and plan.upstream_tls is not None:
        cluster["transport_socket"] = _tls(plan.upstream_tls, "http/1.1" if _is_http(name) else "h2")
    return cluster


def _watching(name: str) -> dict[str, Any]:
    """Find out which process takes calls; with a single one there is nothing to choose."""
    check: dict[str, Any] = {
        "timeout": "3s",
        "interval": "0.5s",
        "no_traffic_interval": "0.5s",
        "unhealthy_threshold": 2,
        "healthy_threshold": 1,
        "always_log_health_check_failures": False,
    }
    kind = {"http_health_check": {"path": "/health/ready"}} if _is_http(name) else {"grpc_health_check": {}}
    return {
        "health_checks": [check | kind],
        # Only what happens between edge and process counts: a provider's outage is no fault of a worker.
        "outlier_detection": {
            "split_external_local_origin_errors": True,
            "consecutive_local_origin_failure": 2,
            "base_ejection_time": "1s",
            "enforcing_consecutive_5xx": 0,
            "enforcing_consecutive_gateway_failure": 0,
            "enforcing_success_rate": 0,
            "enforcing_local_origin_success_rate": 0,
            "max_ejection_percent": 66,
        },
        # When none looks well, all are tried: a machine that is too busy to answer a probe may still answer a call.
        "common_lb_config": {"healthy_panic_threshold": {"value": 1}},
    }


def _protocol(name: str) -> dict[str, Any]:
    http2 = {
        "initial_stream_window_size": 256 * 1024,
        "initial_connection_window_size": MIB,
        "max_concurrent_streams": _MOST,
    }
    explicit = {"http_protocol_options": {}} if _is_http(name) else {"http2_protocol_options": http2}
    return {
        "@type": f"type.googleapis.com/{_HTTP_OPTIONS}",
        # Shorter than the door's own keep-alive, so that the edge never writes into a connection being closed.
        "common_http_protocol_options": {"idle_timeout": "60s" if _is_http(name) else "3600s"},
        "explicit_http_config": explicit,
    }


def _is_http(name: str) -> bool:
    return name.endswith("-http")


def _endpoints(addresses: tuple[str, ...]) -> list[dict[str, Any]]:
    return [{"endpoint": {"address": _address(address)}} for address in addresses]


def _address(address: str) -> dict[str, Any]:
    if address.startswith("unix:"):
        return {"pipe": {"path": address.removeprefix("unix:")}}
    host, _, port = address.rpartition(":")
    return {"socket_address": {"address": host.strip("[]"), "port_value": int(port)}}


def _is_ip(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _tls(tls: Tls, protocol: str) -> dict[str, Any]:
    context: dict[str, Any] = {
        # gRPC servers hang up on who does not ask for h2.
        "alpn_protocols": [protocol],
        "tls_certificates": [
            {"certificate_chain": {"filename": str(tls.cert)}, "private_key": {"filename": str(tls.key)}}
        ],
    }
    if tls.ca is not None:
        context["validation_context"] = {"trusted_ca": {"filename": str(tls.ca)}}
    return {
        "name": _TLS_SOCKET,
        "typed_config": {
            "@type": _UPSTREAM_TLS,
            "common_tls_context": context,
            # The name in an endpoint's address is checked against its certificate.
            "auto_host_sni": True,
            "auto_sni_san_validation": True,
        },
    }
