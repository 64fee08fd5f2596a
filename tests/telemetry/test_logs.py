"""Log lines: their form, their levels, and that no secret is in them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from lws.telemetry.logs import LogSettings, configure_logging, redact

KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7\n-----END RSA PRIVATE KEY-----"


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    """Leave the process's logging as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def lines(settings: LogSettings, act: Any) -> list[str]:
    """What is written while a function logs."""
    stream = io.StringIO()
    configure_logging(settings, stream, cache=False)
    act(structlog.get_logger("lws.test"))
    return stream.getvalue().splitlines()


def test_json_lines_carry_time_level_logger_and_message() -> None:
    """A JSON line has ts, level, logger, msg and the line's own members, one object a line."""
    (line,) = lines(LogSettings(), lambda log: log.info("hello", name="vllm", replicas=3))
    entry = json.loads(line)
    assert entry.pop("ts").endswith("Z")
    assert entry == {"level": "info", "logger": "lws.test", "msg": "hello", "name": "vllm", "replicas": 3}


def test_a_stream_that_takes_no_more_costs_lines_only() -> None:
    """On a full disk, or when the log's reader went away, logging raises nothing."""

    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(28, "No space left on device")

    configure_logging(LogSettings(), Full(), cache=False)
    structlog.get_logger("lws.test").error("lost")
    logging.getLogger("library").error("lost too")


def test_what_is_bound_to_a_reconcile_is_on_every_line() -> None:
    """Members bound for the time of a reconcile are on each line within it, and on none after it."""

    def act(log: Any) -> None:
        with structlog.contextvars.bound_contextvars(controller="pod", reconcile_id=7):
            log.info("inside")
        log.info("outside")

    inside, outside = (json.loads(line) for line in lines(LogSettings(), act))
    assert (inside["controller"], inside["reconcile_id"]) == ("pod", 7)
    assert "controller" not in outside


@pytest.mark.parametrize(("level", "expected"), [("debug", 3), ("info", 2), ("error", 1), ("critical", 0)])
def test_levels_filter(level: Any, expected: int) -> None:
    """Only lines of the level or above are written."""

    def act(log: Any) -> None:
        log.debug("d")
        log.info("i")
        log.error("e")

    assert len(lines(LogSettings(level=level), act)) == expected


def test_console_lines_are_for_people() -> None:
    """The console form is text without colours when no terminal reads it."""
    (line,) = lines(LogSettings(format="console"), lambda log: log.warning("careful", name="vllm"))
    assert "careful" in line
    assert "name=vllm" in line
    assert "\x1b" not in line


def fail(log: Any) -> None:
    """Log an error with its traceback."""
    try:
        raise ValueError("Bearer abcdefghijkl.mnop is bad")
    except ValueError:
        log.exception("broke")


def test_tracebacks_are_in_one_json_line_and_can_be_left_out() -> None:
    """An unforeseen error is one line with its traceback, or with its error only if tracebacks are not wanted."""
    (full,) = lines(LogSettings(), fail)
    assert "Traceback" in json.loads(full)["exception"]
    (short,) = lines(LogSettings(tracebacks=False), fail)
    assert "Traceback" not in short
    assert json.loads(short)["error"].startswith("ValueError")


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_secret_is_ever_written(form: Any) -> None:
    """Tokens and private keys are written in no form: not as members, in texts, in nested values, or in tracebacks."""

    def act(log: Any) -> None:
        log.info("request", authorization="Bearer topsecrettoken", token="topsecrettoken")
        text = f"the key is {KEY}"
        log.info(text, headers={"Authorization": "Basic topsecrettoken"})
        log.info("list", values=["Bearer topsecrettoken", {"password": "topsecrettoken"}], raw=KEY.encode())
        log.info("cause", error=ValueError("Bearer topsecrettoken"))
        fail(log)

    text = "\n".join(lines(LogSettings(format=form), act))
    assert "topsecrettoken" not in text
    assert "MIIEpAIBAAKCAQEA7" not in text
    assert "abcdefghijkl.mnop" not in text


def test_a_truncated_key_is_redacted_too() -> None:
    """A private key whose end is cut off does not show its beginning."""
    assert "MIIE" not in redact(KEY[:50])


@pytest.mark.parametrize(
    ("time", "kind"),
    [("epoch", float), ("millis", float), ("nanos", int), ("iso8601", str), ("rfc3339", str), ("rfc3339nano", str)],
)
def test_times_are_written_as_asked(time: Any, kind: type) -> None:
    """Each of zap's time encodings has its counterpart."""
    (line,) = lines(LogSettings(time=time), lambda log: log.info("x"))
    assert isinstance(json.loads(line)["ts"], kind)


def test_lines_of_libraries_take_the_same_way() -> None:
    """A warning by the standard library's logging is one of our lines; chatter below that is not."""

    def act(_log: Any) -> None:
        logging.getLogger("aiohttp.server").warning("Error handling %s", "request")
        logging.getLogger("asyncio").info("chatter")

    (line,) = lines(LogSettings(), act)
    entry = json.loads(line)
    assert (entry["msg"], entry["level"], entry["logger"]) == ("Error handling request", "warning", "aiohttp.server")
