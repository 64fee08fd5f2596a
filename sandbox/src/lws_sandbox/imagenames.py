"""Names of container images: host, path, tag and digest (``distribution/reference``, ``ParseNormalizedNamed``)."""

from __future__ import annotations

import re
from typing import Final

_COMPONENT: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_LABEL: Final = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_HOST: Final = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
_DIGEST: Final = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_SUFFIX: Final = rf"(?::(?P<tag>\w[\w.-]{{0,127}}))?(?:@(?P<digest>{_DIGEST}))?"
_REFERENCE: Final = re.compile(rf"(?:{_HOST}/)?(?P<path>{_COMPONENT}(?:/{_COMPONENT})*){_SUFFIX}", re.ASCII)
_IDENTIFIER: Final = re.compile(r"[a-f0-9]{64}")
_MALFORMED: Final = "invalid reference format"


def tag_of(image: str) -> str:
    """The image's tag: ``latest`` without tag and digest, empty with a digest alone.

    Raises:
        ValueError: it is no name of an image; the message is that of the container runtimes.
    """
    if _IDENTIFIER.fullmatch(image):
        raise ValueError(
            f"invalid repository name ({image}), cannot specify 64-byte hexadecimal strings as repository name"
        )
    host, path = _split(image)
    name = path.partition("@")[0].partition(":")[0]
    if name != name.lower():
        raise ValueError(f"{_MALFORMED}: repository name ({name}) must be lowercase")
    found = _REFERENCE.fullmatch(f"{host}/{path}")
    if found is None:
        raise ValueError(_MALFORMED)
    return found["tag"] or ("" if found["digest"] else "latest")


def _split(image: str) -> tuple[str, str]:
    """Host and path; what does not look like a host belongs to the path on the default host."""
    first, slash, rest = image.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost" or first != first.lower()):
        return first, rest
    return "docker.io", image if slash else f"library/{image}"
