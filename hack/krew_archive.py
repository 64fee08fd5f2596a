"""Makes what krew installs: the plugin's archive, and its manifest with the archive's address and sum.

Run as ``python -m hack.krew_archive --releases https://example.com/releases DIRECTORY``. The same tree always gives the
same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import lws

ROOT = Path(__file__).resolve().parent.parent
MANIFEST = ROOT / "hack" / "krew" / "lws.yaml"
ARCHIVE = "kubectl-lws.tar.gz"
PLACE = "https://RELEASES"
NO_SUM = "0" * 64
EXECUTABLES = ("kubectl-lws",)


def files() -> Iterator[tuple[str, bytes]]:
    """The archive's files by name, in order: the launcher, the lock, the license, and the package's sources."""
    yield "LICENSE", (ROOT / "LICENSE").read_bytes()
    yield "VERSION", f"{lws.__version__}\n".encode()
    yield "kubectl-lws", (ROOT / "hack" / "krew" / "kubectl-lws").read_bytes()
    yield "requirements.lock", (ROOT / "requirements.lock").read_bytes()
    for path in sorted((ROOT / "src" / "lws").rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            yield f"src/{path.relative_to(ROOT / 'src')}", path.read_bytes()


def archive() -> bytes:
    """The archive, with the times of ``SOURCE_DATE_EPOCH``."""
    when = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in files():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode = len(content), when, 0o755 if name in EXECUTABLES else 0o644
            tar.addfile(entry, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), mtime=when)


def manifest(releases: str, content: bytes) -> str:
    """The manifest of a release."""
    text = (
        MANIFEST.read_text().replace(PLACE, releases.rstrip("/")).replace(NO_SUM, hashlib.sha256(content).hexdigest())
    )
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("#"))


def main() -> None:
    """Write both into a directory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--releases", required=True, help="address below which vX.Y.Z/kubectl-lws.tar.gz is published")
    parser.add_argument("directory", type=Path)
    given = parser.parse_args()
    content = archive()
    given.directory.mkdir(parents=True, exist_ok=True)
    (given.directory / ARCHIVE).write_bytes(content)
    (given.directory / "lws.yaml").write_text(manifest(given.releases, content))


if __name__ == "__main__":
    main()
