"""What goes where: exact paths to services, everything else to a 404."""

from __future__ import annotations

from typing import Any, Final

from services.mesh.edge.methods import PublicMethod
from services.mesh.edge.plan import EdgePlan

VENDOR_PATHS: Final = (
    "/v1/chat/completions",
    "/v1/embeddings",
    "/v1/models",
    "/v1/messages",
    "/v1/messages/count_tokens",
)
VENDOR_PREFIXES: Final = ("/v1/models/",)
ANTHROPIC_PREFIX: Final = "/v1/messages"
HEALTH_PATHS: Final = ("/health", "/health/live", "/health/ready")
ROOT: Final = "/"

_HEALTH_SERVICE: Final = "/grpc.health.v1.Health/"
_REFLECTION_SERVICES: Final = (
    "/grpc.reflection.v1.ServerReflection/",
    "/grpc.reflection.v1alpha.ServerReflection/",
)
_CORS: Final = "envoy.filters.http.cors"
_EXPOSED_HEADERS: Final = (
    "grpc-status,grpc-message,grpc-status-details-bin,x-request-id,request-id,retry-after,"
    "openai-processing-ms,openai-version,x-should-retry"
)
_ALLOWED_HEADERS: Final = (
    "authorization,content-type,accept,x-api-key,api-key,x-grpc-web,x-user-agent,grpc-timeout,x-request-id,"
    "connect-protocol-version,connect-timeout-ms,anthropic-version,anthropic-beta,"
    "anthropic-dangerous-direct-browser-access,openai-organization,openai-project,openai-beta,"
    "x-stainless-arch,x-stainless-lang,x-stainless-os,x-stainless-package-version,x-stainless-retry-count,"
    "x-stainless-runtime,x-stainless-runtime-version,x-stainless-timeout,x-stainless-helper-method"
)
# Only what never reached a handler is sent again: a second generation would cost money.
_RETRY: Final = {
    "retry_on": "connect-failure,refused-stream,reset-before-request",
    "num_retries": 3,
    "retry_host_predicate": [
        {
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3."
                "PreviousHostsPredicate"
            },
        }
    ],
    "retry_back_off": {"base_interval": "0.025s", "max_interval": "0.25s"},
}


def virtual_host(plan: EdgePlan, methods: list[PublicMethod]) -> dict[str, Any]:
    """Return the one virtual host. A method or path that is not listed has no route."""
    routes = [_to({"path": method.path}, method.served_by) for method in methods]
    routes.append(_to({"prefix": _HEALTH_SERVICE}, "gateway"))
    if plan.reflection:
        routes += [_to({"prefix": prefix}, "gateway") for prefix in _REFLECTION_SERVICES]
    routes += [_to({"path": path}, "gateway-http") for path in (*VENDOR_PATHS, *HEALTH_PATHS, ROOT)]
    routes += [_to({"prefix": prefix}, "gateway-http") for prefix in VENDOR_PREFIXES]
    routes.append(
        # REST paths come here first, so that filters before the transcoder see a route; the transcoder
        # gives them their gRPC path and the route is looked up again.
        {
            "match": {"prefix": "/"},
            "direct_response": {
                "status": 404,
                "body": {"inline_string": "there is nothing at this path for this method"},
            },
        }
    )
    return {
        "name": "edge",
        "domains": ["*"],
        "routes": routes,
        "retry_policy": _RETRY,
        "typed_per_filter_config": {_CORS: _cors(plan.cors_origins)},
    }


def _to(match: dict[str, Any], cluster: str) -> dict[str, Any]:
    # No limit on a route: calls carry their own deadline, and the gateway has limits of its own.
    return {"match": match, "route": {"cluster": cluster, "timeout": "0s"}}


def _cors(origins: tuple[str, ...]) -> dict[str, Any]:
    allowed = [{"safe_regex": {"regex": ".*"}} if origin == "*" else {"exact": origin} for origin in origins]
    return {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy",
        "allow_origin_string_match": allowed,
        "allow_methods": "GET,POST,PATCH,DELETE,OPTIONS",
        "allow_headers": _ALLOWED_HEADERS,
        "expose_headers": _EXPOSED_HEADERS,
        "max_age": "600",
        # Keys travel in a header that the page sets, never in a cookie.
        "allow_credentials": False,
    }
