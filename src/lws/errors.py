"""Every error that this package raises on purpose.

```text
LwsError
├── ConfigurationError        a flag, file or environment is wrong: one sentence with the remedy, exit 1
├── AdmissionError            a pod or object is refused; the text is what the client reads
├── TerminalError             retrying cannot help; the key rests until something changes
├── StaleError                a cache is behind our own last write; try again when it has caught up
│   └── PauseError            our writes are undone as they are made; wait before the next
├── TransportError            no answer: connection refused, broken, or timed out
└── ApiError                  the server answered with a failure Status
    ├── BadRequestError       400
    ├── UnauthorizedError     401
    ├── ForbiddenError        403
    │   └── NamespaceTerminatingError  nothing can be created any more, and nothing needs to be
    ├── NotFoundError         404
    ├── AlreadyExistsError    409 AlreadyExists
    ├── ConflictError         409 Conflict
    ├── ExpiredError          410
    ├── InvalidError          422
    ├── TooManyRequestsError  429
    └── ServerError           5xx
```
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


class LwsError(Exception):
    """Root of the tree. ``remedy`` says what people can do when the message itself, fixed by a contract, does not."""

    remedy = ""


class ConfigurationError(LwsError):
    """A flag, file or environment is wrong; the message names it and the remedy."""


class CommandLineError(ConfigurationError):
    """A command line cannot be read; commands exit 2 for it, as those written in Go do."""


class AdmissionError(LwsError):
    """An object is refused at admission; the message is exactly what its author reads."""


class TerminalError(LwsError):
    """Retrying cannot help: the key rests until one of its objects changes."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


class StaleError(LwsError):
    """A cache is behind our own last write."""


class PauseError(StaleError):
    """What was just made was undone at once, more than once: it is made again in ``seconds``."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


@dataclass
class TransportError(LwsError):
    """There was no answer.

    ``maybe_done`` is true when the request may have reached the server, so that a write may have happened.
    """

    message: str
    maybe_done: bool = True

    def __str__(self) -> str:
        return self.message


@dataclass
class ApiError(LwsError):
    """The server answered with a failure.

    Attributes:
        status: HTTP status code.
        reason: machine-readable reason of the ``Status`` object, such as ``NotFound``; empty if there was none.
        message: the server's own words.
        retry_after: seconds that the server asks us to wait, or None.
        details: the ``details`` member of the ``Status`` object.
        body: the answer's first 2048 bytes.
    """

    status: int
    reason: str
    message: str
    retry_after: float | None = None
    details: dict[str, Any] = field(default_factory=dict)
    body: str = ""

    def __str__(self) -> str:
        return self.message


class BadRequestError(ApiError):
    """400: the request makes no sense to the server."""


class UnauthorizedError(ApiError):
    """401: the credentials are missing or not accepted."""


class ForbiddenError(ApiError):
    """403: not permitted, or refused by admission or quota."""


class NamespaceTerminatingError(ForbiddenError):
    """403 because the namespace is being deleted, and with it whatever the write was for: there is nothing to do."""


class NotFoundError(ApiError):
    """404: no such object or resource."""


class ConflictError(ApiError):
    """409: the resourceVersion or UID given is not the live one."""


class AlreadyExistsError(ApiError):
    """409 with reason AlreadyExists: the name is taken."""


class ExpiredError(ApiError):
    """410: the resourceVersion or continue token is too old."""


class InvalidError(ApiError):
    """422: the object breaks a rule; ``details['causes']`` says which."""


class TooManyRequestsError(ApiError):
    """429: the server sheds load, or an eviction is refused for now."""


class ServerError(ApiError):
    """5xx: the server, or something behind it, failed."""
