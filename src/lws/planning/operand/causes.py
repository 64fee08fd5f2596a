"""What can be wrong with an installation, in the order in which it is told (operator 5.4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

MISSING_DEPENDENCY: Final = "MissingDependency"
OPERAND_IMAGE_MISSING: Final = "OperandImageMissing"
CONFIG_INVALID: Final = "ConfigInvalid"
FOREIGN_OBJECT: Final = "ForeignObject"
OTHER_INSTALLATION: Final = "OtherInstallation"
CERTIFICATE_NOT_READY: Final = "CertificateNotReady"
CRD_NARROWED: Final = "CRDNarrowed"
OPERAND_FAILING: Final = "OperandFailing"
ROLLOUT_FAILED: Final = "RolloutFailed"
ROLLED_BACK: Final = "RolledBack"
API_NOT_SERVED: Final = "APINotServed"
PERMISSION_DENIED: Final = "PermissionDenied"

ORDER: Final = (
    MISSING_DEPENDENCY,
    OPERAND_IMAGE_MISSING,
    CONFIG_INVALID,
    FOREIGN_OBJECT,
    OTHER_INSTALLATION,
    CERTIFICATE_NOT_READY,
    CRD_NARROWED,
    OPERAND_FAILING,
    ROLLOUT_FAILED,
    ROLLED_BACK,
    API_NOT_SERVED,
    PERMISSION_DENIED,
)
LASTING: Final = frozenset({CERTIFICATE_NOT_READY, OPERAND_FAILING, API_NOT_SERVED, PERMISSION_DENIED})
LASTING_SECONDS: Final = 120.0  # how long these must stand before they are told; the others are told at once
LONGEST: Final = 1024  # bytes of a message


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing that is wrong; its message ends with the remedy."""

    reason: str
    message: str


def ordered(causes: Iterable[Cause]) -> list[Cause]:
    """Causes in the order of their reasons, each once."""
    return sorted(dict.fromkeys(causes), key=lambda each: ORDER.index(each.reason))


def told(causes: Iterable[Cause]) -> str:
    """All of them in one message, cut to what is readable."""
    return cut("; ".join(each.message for each in causes))


def cut(message: str) -> str:
    """A message of at most 1024 bytes, cut between characters; its end, the remedy, is kept."""
    raw = message.encode()
    if len(raw) <= LONGEST:
        return message
    tail = raw[-LONGEST // 3 :].decode(errors="ignore")
    head = raw[: LONGEST - len(tail.encode()) - 5].decode(errors="ignore")
    return f"{head} ... {tail}"
