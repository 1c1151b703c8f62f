"""The one port: HTTP/1.1 and HTTP/2 on it, gRPC, gRPC-Web, REST and the vendors' paths behind it."""

from __future__ import annotations

from typing import Any, Final

from services.mesh.edge.methods import PublicMethod
from services.mesh.edge.plan import MIB, EdgePlan, Tls
from services.mesh.edge.replies import local_replies
from services.mesh.edge.routes import virtual_host

_FILTERS: Final = "type.googleapis.com/envoy.extensions.filters"
# A caller must not pass for the edge or for a service of the mesh, nor steer the edge's routing and retries.
STRIPPED_PREFIXES: Final = ("x-llmhub-", "x-envoy-", "x-forwarded-")
_STRIPPED_HEADERS: Final = ("forwarded", "x-real-ip", "x-original-url", "x-rewrite-url")


def listener(plan: EdgePlan, methods: list[PublicMethod]) -> dict[str, Any]:
    """Return the public listener."""
    chain: dict[str, Any] = {
        "filters": [
            {
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": _connection_manager(plan, methods),
            }
        ]
    }
    if plan.tls is not None:
        chain["transport_socket"] = _tls(plan.tls)
    return {
        "name": "edge",
        "address": {"socket_address": {"address": plan.host, "port_value": plan.port}},
        # With SO_REUSEPORT a second llmhub on the same port would start and take half of the connections.
        "enable_reuse_port": False,
        "per_connection_buffer_limit_bytes": 256 * 1024,
        "socket_options": _keep_alive(),
        "filter_chains": [chain],
    }


def _connection_manager(plan: EdgePlan, methods: list[PublicMethod]) -> dict[str, Any]:
    manager: dict[str, Any] = {
        "@type": f"{_FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "edge",
        "codec_type": "AUTO",
        "server_name": "llmhub",
        "use_remote_address": True,
        "normalize_path": True,
        "early_header_mutation_extensions": [_early_header_mutation()],
        **_request_ids(),
        "stream_idle_timeout": f"{plan.stream_idle_seconds}s",
        "request_headers_timeout": "10s",
        "common_http_protocol_options": {"idle_timeout": "3600s"},
        "http2_protocol_options": {
            "max_concurrent_streams": 1000,
            "initial_stream_window_size": 256 * 1024,
            "initial_connection_window_size": MIB,
            # A peer that vanished without a word is noticed here, long before the idle timeout.
            "connection_keepalive": {"interval": "60s", "timeout": "20s"},
        },
        "local_reply_config": local_replies(),
        "route_config": {"name": "edge", "virtual_hosts": [virtual_host(plan, methods)]},
        "http_filters": _http_filters(plan, methods),
    }
    if plan.access_log is not None:
        manager["access_log"] = [_access_log(str(plan.access_log))]
    return manager


def _early_header_mutation() -> dict[str, Any]:
    mutations: list[dict[str, Any]] = [
        {"remove_on_match": {"key_matcher": {"prefix": prefix}}} for prefix in STRIPPED_PREFIXES
    ]
    mutations += [{"remove": name} for name in _STRIPPED_HEADERS]
    return {
        "name": "envoy.http.early_header_mutation.header_mutation",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3."
            "HeaderMutation",
            "mutations": mutations,
        },
    }


def _request_ids() -> dict[str, Any]:
    return {
        # The gateway gives ids in the order of time (UUIDv7) where the caller has none; Envoy's would be random.
        "generate_request_id": False,
        "preserve_external_request_id": True,
        "request_id_extension": {
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig",
                # Else Envoy writes a digit of its own into the caller's UUID.
                "pack_trace_reason": False,
                "use_request_id_for_trace_sampling": False,
            }
        },
    }


def _http_filters(plan: EdgePlan, methods: list[PublicMethod]) -> list[dict[str, Any]]:
    transcoder = {
        "proto_descriptor": str(plan.descriptors),
        "services": sorted({method.service for method in methods}),
        "convert_grpc_status": True,
        "max_request_body_size": plan.max_body_bytes,
        "max_response_body_size": 2 * plan.max_body_bytes,
        # A misspelt parameter is refused by name instead of being ignored.
        "request_validation_options": {
            "reject_unknown_query_parameters": True,
            "reject_binding_body_field_collisions": True,
        },
        # Model names hold slashes: models/openai%2Fgpt-4o and models/openai/gpt-4o are the same.
        "url_unescape_spec": "ALL_CHARACTERS",
        "print_options": {
            "preserve_proto_field_names": True,
            # REST clients have no generated code that knows defaults: `complete: false` and `block: 0` are said.
            # Fields with presence (unknown token counts) stay absent while unset.
            "always_print_primitive_fields": True,
            "stream_sse_style_delimited": True,
        },
    }
    return [
        _filter("cors", "cors.v3.Cors"),
        # Counts as it passes, chunked bodies too; the transcoder's own limit is on what it holds back at a time.
        _filter(
            "body_size_limit", "body_size_limit.v3.BodySizeLimit", {"max_request_bytes": plan.max_body_bytes}
        ),
        _filter("grpc_web", "grpc_web.v3.GrpcWeb"),
        _filter("grpc_json_transcoder", "grpc_json_transcoder.v3.GrpcJsonTranscoder", transcoder),
        _filter("router", "router.v3.Router", {"suppress_envoy_headers": True}),
    ]


def _filter(name: str, kind: str, config: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "name": f"envoy.filters.http.{name}",
        "typed_config": {"@type": f"{_FILTERS}.http.{kind}", **(config or {})},
    }


def _access_log(path: str) -> dict[str, Any]:
    """One JSON line per call: no header of the caller's but its request id, no query string, no body."""
    fields = {
        "time": "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%",
        "request_id": "%RESP(X-REQUEST-ID)%",
        "caller_request_id": "%REQ(X-REQUEST-ID)%",
        "method": "%REQ(X-ENVOY-ORIGINAL-METHOD?:METHOD)%",
        "path": "%PATH(NQ:ORIG_OR_PATH)%",
        "rpc": "%PATH(NQ:PATH)%",
        "protocol": "%PROTOCOL%",
        "status": "%RESPONSE_CODE%",
        "grpc_status": "%GRPC_STATUS_NUMBER%",
        "flags": "%RESPONSE_FLAGS%",
        "details": "%RESPONSE_CODE_DETAILS%",
        "bytes_in": "%BYTES_RECEIVED%",
        "bytes_out": "%BYTES_SENT%",
        "duration_ms": "%DURATION%",
        "first_byte_ms": "%RESPONSE_DURATION%",
        "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
        "upstream": "%UPSTREAM_HOST%",
    }
    return {
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": path,
            "log_format": {"json_format": fields, "omit_empty_values": True},
        },
    }


def _keep_alive() -> list[dict[str, Any]]:
    """SO_KEEPALIVE after 60 s of silence, every 20 s, three times (Linux numbers): dead HTTP/1.1 clients end."""
    tcp = [(4, 60), (5, 20), (6, 3)]
    options = [{"level": 1, "name": 9, "int_value": 1, "state": "STATE_PREBIND"}]
    return options + [
        {"level": 6, "name": name, "int_value": value, "state": "STATE_PREBIND"} for name, value in tcp
    ]


def _tls(tls: Tls) -> dict[str, Any]:
    folder = {"path": str(tls.cert.parent)}
    context: dict[str, Any] = {
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
        "tls_certificates": [
            {
                "certificate_chain": {"filename": str(tls.cert)},
                "private_key": {"filename": str(tls.key)},
                # A renewed certificate is used without a restart.
                "watched_directory": folder,
            }
        ],
    }
    if tls.ca is not None:
        context["validation_context"] = {"trusted_ca": {"filename": str(tls.ca)}}
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": context,
            "require_client_certificate": tls.ca is not None,
        },
    }
