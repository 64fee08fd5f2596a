"""Log lines: structlog, JSON or readable, without secrets (operations 4).

Guarantees: a line never carries a bearer token, a private key or the value of a member that is named like a secret,
not in its tracebacks either; lines of libraries that use the standard library's logging take the same way.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO, TypeAlias

import structlog

Event: TypeAlias = MutableMapping[str, Any]
Level: TypeAlias = Literal["debug", "info", "warning", "error", "critical"]
Format: TypeAlias = Literal["json", "console"]
TimeFormat: TypeAlias = Literal["epoch", "millis", "nanos", "iso8601", "rfc3339", "rfc3339nano"]

REDACTED: Final = "[redacted]"
_SECRET_NAMES: Final = re.compile(
    r"(?i)(^|[_.-])(password|token|secret_?data|authorization|private_?key|credentials?)$"
)
_SECRET_TEXT: Final = re.compile(
    r"(?is)(bearer\s+)[a-z0-9._~+/=-]{8,}"
    r"|(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)"
)


@dataclass(frozen=True, slots=True)
class LogSettings:
    """How log lines are written.

    Attributes:
        level: the least that is written.
        format: one JSON object a line, or text for people.
        time: how a line's time is written.
        tracebacks: whether unforeseen errors come with a traceback.
    """

    level: Level = "info"
    format: Format = "json"
    time: TimeFormat = "iso8601"
    tracebacks: bool = True


def configure_logging(settings: LogSettings, stream: TextIO | None = None, *, cache: bool = True) -> None:
    """Have every line of the process written to ``stream``, by default standard error.

    This is the process's own set-up; only a command calls it. With ``cache`` loggers are bound once and for all, which
    is quicker but final.
    """
    stream = stream or sys.stderr
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    structlog.configure(
        processors=_processors(settings, colors=settings.format == "console" and stream.isatty()),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *names: _Printer(str(names[0]) if names else "", stream),
        cache_logger_on_first_use=cache,
    )
    root = logging.getLogger()
    root.handlers[:] = [_Bridge()]
    root.setLevel(max(level, logging.WARNING))


def redact(text: str) -> str:
    """The text without bearer tokens and private keys."""
    return _SECRET_TEXT.sub(lambda match: f"{match[1] or match[2] or ''}{REDACTED}{match[3] or ''}", text)


class _Printer:
    """Writes finished lines; its name is the logger's. A full disk or a closed pipe loses lines, never work."""

    def __init__(self, name: str, stream: TextIO) -> None:
        self.name = name
        self._stream = stream

    def msg(self, message: str) -> None:
        with contextlib.suppress(OSError):
            self._stream.write(message + "\n")
            self._stream.flush()

    debug = info = warning = warn = error = critical = exception = fatal = failure = log = msg


class _Bridge(logging.Handler):
    """Hands lines of the standard library's logging to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        logger = structlog.get_logger(record.name)
        logger.log(min(record.levelno, logging.CRITICAL), record.getMessage(), exc_info=record.exc_info or None)


def _processors(settings: LogSettings, *, colors: bool) -> list[Callable[[Any, str, Event], Any]]:
    shared: list[Callable[[Any, str, Event], Any]] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _add_name,
        _stamp(settings.time),
    ]
    if not settings.tracebacks:
        shared.append(_drop_traceback)
    if settings.format == "console":
        plain = structlog.dev.plain_traceback
        renderer = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain, timestamp_key="ts")
        return [*shared, structlog.processors.format_exc_info, _redact, renderer]
    return [
        *shared,
        structlog.processors.format_exc_info,
        _redact,
        structlog.processors.EventRenamer("msg"),
        structlog.processors.JSONRenderer(default=str),
    ]


def _add_name(logger: Any, _method: str, event: Event) -> Event:
    if name := getattr(logger, "name", ""):
        event["logger"] = name
    return event


def _stamp(form: TimeFormat) -> Callable[[Any, str, Event], Event]:
    formats: dict[str, Callable[[datetime], object]] = {
        "epoch": lambda now: now.timestamp(),
        "millis": lambda now: round(now.timestamp() * 1e3, 6),
        "nanos": lambda now: round(now.timestamp() * 1e6) * 1000,
        "iso8601": lambda now: now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}Z",
        "rfc3339": lambda now: now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "rfc3339nano": lambda now: now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }
    chosen = formats[form]

    def stamp(_logger: Any, _method: str, event: Event) -> Event:
        event["ts"] = chosen(datetime.now(UTC))
        return event

    return stamp


def _drop_traceback(_logger: Any, _method: str, event: Event) -> Event:
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["error"] = f"{type(error).__name__}: {error}"
    return event


def _redact(_logger: Any, _method: str, event: Event) -> Event:
    for name, value in event.items():
        event[name] = REDACTED if _SECRET_NAMES.search(name) else _clean(value)
    return event


def _clean(value: Any) -> Any:
    match value:
        case str():
            return redact(value)
        case dict():
            return {k: REDACTED if _SECRET_NAMES.search(str(k)) else _clean(v) for k, v in value.items()}
        case list() | tuple():
            return [_clean(each) for each in value]
        case bytes():
            return redact(value.decode(errors="replace"))
        case BaseException():
            return redact(str(value))
        case _:
            return value
