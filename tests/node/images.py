"""Container images as archives that containerd imports: one layer, made of a folder."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

PAUSE: Final = "localhost/pause:1"
TOOLS: Final = "localhost/tools:1"
CONTROLLER: Final = "localhost/lws-controller:1"
NOBODY: Final = "65532:65532"


@dataclass(frozen=True, slots=True)
class Image:
    """What an image holds and how it runs.

    Attributes:
        name: with its tag.
        root: the folder of its file system.
        entrypoint: of its containers.
        user: and group of them.
        environment: of them.
    """

    name: str
    root: Path
    entrypoint: Sequence[str]
    user: str = NOBODY
    environment: Mapping[str, str] = field(default_factory=dict)

    def archive(self, path: Path) -> Path:
        """Write it as an OCI layout in a tar file; returns the file."""
        layer = path.with_suffix(".layer")
        with tarfile.open(layer, "w") as tar:
            tar.add(self.root, arcname=".", filter=_owned_by_root)
        digest = _sha256(layer.read_bytes())
        config = _json(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {
                    "Entrypoint": list(self.entrypoint),
                    "User": self.user,
                    "Env": [f"{name}={value}" for name, value in self.environment.items()],
                },
                "rootfs": {"type": "layers", "diff_ids": [digest]},
            }
        )
        manifest = _json(
            {
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": _descriptor("application/vnd.oci.image.config.v1+json", config),
                "layers": [
                    {
                        "mediaType": "application/vnd.oci.image.layer.v1.tar",
                        "digest": digest,
                        "size": layer.stat().st_size,
                    }
                ],
            }
        )
        described = _descriptor("application/vnd.oci.image.manifest.v1+json", manifest)
        described["annotations"] = {"io.containerd.image.name": self.name}
        index = _json({"schemaVersion": 2, "manifests": [described]})
        with tarfile.open(path, "w") as tar:
            _add(tar, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
            _add(tar, "index.json", index)
            for blob in (config, manifest):
                _add(tar, _place(_sha256(blob)), blob)
            tar.add(layer, arcname=_place(digest))
        layer.unlink()
        return path


def tools(folder: Path, name: str, entrypoint: Sequence[str]) -> Image:
    """An image of busybox alone, whose commands are links to it."""
    root = folder / name.replace("/", "-").replace(":", "-")
    binaries = root / "bin"
    binaries.mkdir(parents=True)
    (root / "tmp").mkdir(mode=0o1777)
    shutil.copy("/bin/busybox", binaries / "busybox")
    for command in ("sh", "sleep", "cat", "nslookup", "hostname", "wget", "httpd", "kill", "env", "dd", "tail", "true"):
        (binaries / command).symlink_to("busybox")
    return Image(name, root, entrypoint, environment={"PATH": "/bin"})


def _owned_by_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _descriptor(media_type: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _sha256(blob), "size": len(blob)}


def _place(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()
