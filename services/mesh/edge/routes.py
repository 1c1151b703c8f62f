"""What goes where: exact paths to services, everything else to a 404."""

from __future__ import annotations

import re
from typing import Any, Final

from services.mesh.edge.methods import PublicMethod
from services.mesh.edge.plan import EdgePlan
from services.runtime.status import NOT_STARTED

ANTHROPIC_PATHS: Final = ("/v1/messages", "/v1/messages/count_tokens")
MODELS_PATH: Final = "/v1/models"
OPENAI_PATHS: Final = (
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/embeddings",
    "/v1/moderations",
    "/v1/images/generations",
    "/v1/audio/speech",
    "/v1/audio/transcriptions",
    "/v1/rerank",
    MODELS_PATH,
)
OPENAI_PREFIXES: Final = ("/v1/models/", "/v1/responses/")
GEMINI_PATHS: Final = ("/v1beta/models",)
GEMINI_PREFIXES: Final = ("/v1beta/models/",)
GEMINI_VERBS: Final = (
    "/v1/models/.+:(generateContent|streamGenerateContent|countTokens|(batchE|e)mbedContents?)"
)
"""What is Gemini's among the paths that other vendors' clients use too."""
HEALTH_PATHS: Final = ("/health", "/health/live", "/health/ready")
ROOT: Final = "/"

_HEALTH_SERVICE: Final = "/grpc.health.v1.Health/"
_REFLECTION_SERVICES: Final = (
    "/grpc.reflection.v1.ServerReflection/",
    "/grpc.reflection.v1alpha.ServerReflection/",
)
_CORS: Final = "envoy.filters.http.cors"
_EXPOSED_HEADERS: Final = (
    "grpc-status,grpc-message,grpc-status-details-bin,x-request-id,request-id,retry-after,x-llmhub-model,"
    "x-llmhub-warnings,x-llmhub-error-source,x-llmhub-upstream-status,x-upstream-request-id,openai-processing-ms,"
    "openai-version,x-should-retry"
)
_ALLOWED_HEADERS: Final = (
    "authorization,content-type,accept,x-api-key,api-key,x-goog-api-key,x-goog-api-client,x-grpc-web,x-user-agent,"
    "grpc-timeout,x-request-id,"
    "connect-protocol-version,connect-timeout-ms,anthropic-version,anthropic-beta,"
    "anthropic-dangerous-direct-browser-access,openai-organization,openai-project,openai-beta,"
    "x-stainless-arch,x-stainless-lang,x-stainless-os,x-stainless-package-version,x-stainless-retry-count,"
    "x-stainless-runtime,x-stainless-runtime-version,x-stainless-timeout,x-stainless-helper-method"
)
_GRPC: Final = {"name": "content-type", "string_match": {"prefix": "application/grpc"}}
_NOT_GRPC: Final = {
    "status": 415,
    "body": {"inline_string": "this path takes gRPC and gRPC-Web; the same by JSON is under /api/v1"},
}
# Only what no handler began is sent again: a second generation would cost money.
_RETRY: Final = {
    "retry_on": "connect-failure,refused-stream,reset-before-request,retriable-headers",
    "retriable_headers": [{"name": NOT_STARTED, "present_match": True}],
    # Together longer than a health check takes to notice, so that a call outlives a process being replaced.
    "num_retries": 8,
    "retry_host_predicate": [
        {
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3."
                "PreviousHostsPredicate"
            },
        }
    ],
    # One that refuses at once has the fewest requests and is preferred: insist on another.
    "host_selection_retry_max_attempts": 32,
    "retry_back_off": {"base_interval": "0.025s", "max_interval": "0.5s"},
}


def virtual_host(plan: EdgePlan, methods: list[PublicMethod]) -> dict[str, Any]:
    """Return the one virtual host. A method or path that is not listed has no route."""
    routes = [_to({"path": method.path, "headers": [_GRPC]}, method.served_by) for method in methods]
    routes.append(_to({"prefix": _HEALTH_SERVICE}, "gateway"))
    if plan.reflection:
        routes += [_to({"prefix": prefix}, "gateway") for prefix in _REFLECTION_SERVICES]
    paths = (*OPENAI_PATHS, *ANTHROPIC_PATHS, *GEMINI_PATHS, *HEALTH_PATHS, ROOT)
    # Preflights of all paths: the CORS filter answers them, but only where there is a route to a cluster.
    routes.append(_to({"prefix": "/", "headers": [_verb("OPTIONS")]}, "gateway-http"))
    # A gRPC server resets what is no gRPC, and the caller would be told that nobody answers.
    routes += [{"match": {"path": method.path}, "direct_response": _NOT_GRPC} for method in methods]
    routes += [_to({"path": path}, "gateway-http") for path in paths]
    routes += [_to({"prefix": prefix}, "gateway-http") for prefix in (*OPENAI_PREFIXES, *GEMINI_PREFIXES)]
    # Filters before the transcoder need a route too; it then gives the call its gRPC path and another route.
    routes += [
        _to({"safe_regex": {"regex": _pattern(template)}, "headers": [_verb(verb)]}, method.served_by)
        for method in methods
        for verb, template in method.rest
    ]
    nothing = {"status": 404, "body": {"inline_string": "there is nothing at this path for this method"}}
    routes.append({"match": {"prefix": "/"}, "direct_response": nothing})
    return {
        "name": "edge",
        "domains": ["*"],
        "routes": routes,
        "retry_policy": _RETRY,
        "response_headers_to_remove": [NOT_STARTED],
        "typed_per_filter_config": {_CORS: _cors(plan.cors_origins)},
    }


def _to(match: dict[str, Any], cluster: str) -> dict[str, Any]:
    # No limit on a route: calls carry their own deadline, and the gateway has limits of its own.
    return {"match": match, "route": {"cluster": cluster, "timeout": "0s"}}


def _verb(name: str) -> dict[str, Any]:
    return {"name": ":method", "string_match": {"exact": name}}


def _pattern(template: str) -> str:
    """Return the expression for a path template: `{name}` is one segment, `{name=**}` any number."""
    parts = re.split(r"(\{[^}]*\})", template)
    return "".join(
        re.escape(part) if not part.startswith("{") else ".+" if part.endswith("=**}") else "[^/]+"
        for part in parts
    )


def _cors(origins: tuple[str, ...]) -> dict[str, Any]:
    allowed = [{"safe_regex": {"regex": ".*"}} if origin == "*" else {"exact": origin} for origin in origins]
    return {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy",
        "allow_origin_string_match": allowed,
        "allow_methods": "GET,POST,PATCH,DELETE,OPTIONS",
        "allow_headers": _ALLOWED_HEADERS,
        "expose_headers": _EXPOSED_HEADERS,
        "max_age": "600",
        "forward_not_matching_preflights": False,
        # Keys travel in a header that the page sets, never in a cookie.
        "allow_credentials": False,
    }
