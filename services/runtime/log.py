"""Structured logs on standard error: one JSON object per line, or lines for people on a terminal.

`get_logger(__name__).warning("what happened", provider="openai")`: the text is a literal, everything that varies is a
field. Only fields named in SHOWN appear with their value; of all others, of exceptions and of the arguments of foreign
loggers only type and length. So a new field hides its value until somebody decides that it may be seen.
"""

import logging
import os
import re
import sys
import traceback
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, Final, TextIO

import grpc.aio
import msgspec
import structlog
from structlog.stdlib import BoundLogger, ProcessorFormatter
from structlog.typing import Processor

from services.runtime import context
from services.runtime.errors import LlmhubError

SHOWN: Final = frozenset({
    *("event", "level", "logger", "timestamp"),
    *("attempt", "attempt_id", "attempts", "by", "key_id", "method", "model", "phase", "provider", "request_id"),
    *("code", "dialect", "error", "http_status", "kind", "outcome", "reason", "scope", "status"),
    *("address", "file", "line", "listeners", "pid", "port", "process", "service", "services", "shape", "url"),
    *("config_fault", "environment", "exit_code", "revision", "signal", "state", "version", "worker"),
    *("age_seconds", "bytes", "count", "depth", "duration_ms", "grace_seconds", "limit", "pause_seconds", "size"),
})  # fmt: skip
"""Fields whose values are shown. What a caller or a provider wrote as free text never belongs here."""

_LONGEST_VALUE: Final = 500
_LONGEST_EVENT: Final = 200
_MOST_FRAMES: Final = 12
_MOST_CAUSES: Final = 5
# A second net only: what looks like a credential is hidden even in a shown field.
_SECRET: Final = re.compile(
    r"llmh_\w+|\b(?:sk|pk|rk|xai|gsk|AIza|ya29|AKIA|ghp|hf)[-_.]?[\w.\-]{16,}|(?i:bearer|basic)\s+\S+"
    r"|eyJ[\w\-]{10,}\.[\w.\-]+|(?<=://)[^/\s@]*:[^/\s@]*(?=@)|(?i:(?:api[-_]?)?key|token|secret|password)=[^&\s]+"
)

_MADE_HERE: Final = frozenset({"_record", "_from_structlog", "exception"})

Event = MutableMapping[str, Any]


def get_logger(name: str) -> BoundLogger:
    """The logger of a module; works before `configure` too, then through whatever logging is set up."""
    logger: BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def configure(level: str = "INFO", stream: TextIO | None = None, *, console: bool | None = None) -> None:
    """Send all logs of this process, those of libraries included, to the stream (standard error).

    `console` chooses lines for people over JSON; None: if the stream is a terminal.
    """
    stream = stream or sys.stderr
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    people = stream.isatty() if console is None else console
    renderer: Any = structlog.dev.ConsoleRenderer() if people else structlog.processors.JSONRenderer(_json)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=_FOREIGN,
            pass_foreign_args=True,
            use_get_message=False,
            processors=[ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)
    # Envoy writes the access log; libraries say too much below a warning.
    for name in ("aiohttp.access", "alembic", "asyncio", "grpc"):
        logging.getLogger(name).setLevel(logging.WARNING)


def describe(error: BaseException) -> list[dict[str, Any]]:
    """An exception and its causes, without their messages: type, known codes, and where it was raised."""
    described: list[dict[str, Any]] = []
    current: BaseException | None = error
    while current is not None and len(described) < _MOST_CAUSES:
        frames = traceback.extract_tb(current.__traceback__)[-_MOST_FRAMES:]
        entry: dict[str, Any] = {
            "type": f"{type(current).__module__}.{type(current).__qualname__}".removeprefix("builtins."),
            "at": [f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in reversed(frames)],
        }
        if isinstance(current, LlmhubError):
            entry["reason"] = current.reason
        elif isinstance(current, grpc.aio.AioRpcError):
            entry["code"] = current.code().name
        elif isinstance(current, OSError) and current.errno is not None:
            entry["errno"] = current.errno
        described.append(entry)
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return described


def redacted(value: Any) -> Any:
    """A value as it appears in a field that is not shown."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str | bytes | list | tuple | dict | set | frozenset):
        return f"<{type(value).__name__} {len(value)}>"
    return f"<{type(value).__name__}>"


def _add_context(_logger: Any, _method: str, event: Event) -> Event:
    request_id = context.request_id.get()
    if request_id:
        event.setdefault("request_id", request_id)
    principal = context.principal.get()
    if principal is not None:
        event.setdefault("key_id", principal.key_id)
    return event


def _exception(_logger: Any, _method: str, event: Event) -> Event:
    found = event.pop("exc_info", None)
    event.pop("stack_info", None)
    if found is True:
        found = sys.exc_info()
    if isinstance(found, tuple):
        found = found[1]
    if isinstance(found, BaseException):
        event["exception"] = describe(found)
    return event


def _redact(_logger: Any, _method: str, event: Event) -> Event:
    for name, value in event.items():
        if name not in _MADE_HERE:
            event[name] = _shown(value) if name in SHOWN else redacted(value)
    return event


def _shown(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return _SECRET.sub("<secret>", value[:_LONGEST_VALUE])
    if isinstance(value, Mapping):
        return {
            str(key): _shown(item) if str(key) in SHOWN else redacted(item) for key, item in value.items()
        }
    if isinstance(value, Iterable) and not isinstance(value, bytes):
        return [_shown(item) for item in value]
    return redacted(value)


def _foreign(_logger: Any, _method: str, event: Event) -> Event:
    """A record of a library: its first line, with the arguments redacted before they are filled in."""
    template = str(event["event"]).partition("\n")[0]
    arguments = event.pop("positional_args", None)
    if arguments:
        try:
            if isinstance(arguments, Mapping):
                template %= {key: _argument(value) for key, value in arguments.items()}
            else:
                template %= tuple(_argument(value) for value in arguments)
        except (TypeError, ValueError, KeyError):
            pass
    event["event"] = template[:_LONGEST_EVENT]
    return event


def _argument(value: Any) -> Any:
    return value if isinstance(value, int | float) else redacted(value)


def _short(file: str) -> str:
    parts = file.replace("\\", "/").split("/")
    for root in ("site-packages", "services"):
        if root in parts:
            return "/".join(parts[parts.index(root) + (root == "site-packages") :])
    return "/".join(parts[-2:])


def _json(event: Event, **_: Any) -> str:
    return msgspec.json.encode(event, enc_hook=redacted).decode()


_SHARED: Final[list[Processor]] = [
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper("iso", utc=True),
    _add_context,
    _exception,
    _redact,
]
_FOREIGN: Final[list[Processor]] = [_foreign, *_SHARED]

structlog.configure(
    processors=[structlog.stdlib.filter_by_level, *_SHARED, ProcessorFormatter.wrap_for_formatter],
    wrapper_class=BoundLogger,
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
