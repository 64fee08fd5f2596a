"""The binaries of a real control plane, out of the folder that ``KUBEBUILDER_ASSETS`` names."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lws.errors import ConfigurationError

VARIABLE: Final = "KUBEBUILDER_ASSETS"
ETCD: Final = "etcd"
API_SERVER: Final = "kube-apiserver"
CONTROLLER_MANAGER: Final = "kube-controller-manager"
SCHEDULER: Final = "kube-scheduler"
REQUIRED: Final = (ETCD, API_SERVER)
OPTIONAL: Final = (CONTROLLER_MANAGER, SCHEDULER)
REMEDY: Final = (
    "`make control-plane` builds a control plane from Go modules, and `setup-envtest use 1.36 -p path` of "
    f"controller-runtime downloads etcd and kube-apiserver; name the folder that either prints in {VARIABLE}, where "
    "kube-controller-manager and kube-scheduler of the same release are used too if they are there"
)


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder with at least etcd and kube-apiserver.

    Attributes:
        folder: where they are.
        names: those that are there.
    """

    folder: Path
    names: frozenset[str]

    def path(self, name: str) -> Path:
        """The executable; it is there if its name is."""
        return self.folder / name

    def release(self) -> str:
        """The minor release of kube-apiserver, such as ``1.36``.

        Raises:
            ConfigurationError: it does not say.
        """
        try:
            command = [str(self.path(API_SERVER)), "--version"]
            said = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 -- its own folder
        except (OSError, subprocess.CalledProcessError) as error:
            raise ConfigurationError(f"{self.path(API_SERVER)} does not tell its version: {error}") from error
        found = re.search(r"v(\d+\.\d+)\.", said.stdout)
        if found is None:
            raise ConfigurationError(f"{self.path(API_SERVER)} tells {said.stdout!r} for a version")
        return found[1]

    def without(self, name: str) -> Binaries:
        """The same, as if one were not there."""
        return Binaries(self.folder, self.names - {name})

    def __contains__(self, name: str) -> bool:
        return name in self.names


def find(environ: Mapping[str, str] | None = None) -> Binaries:
    """The binaries that the environment names.

    Raises:
        ConfigurationError: it names none, or one without the two that are needed; the message says how to get them.
    """
    value = (os.environ if environ is None else environ).get(VARIABLE, "")
    if not value:
        raise ConfigurationError(f"{VARIABLE} is not set: {REMEDY}")
    folder = Path(value)
    there = frozenset(name for name in (*REQUIRED, *OPTIONAL) if os.access(folder / name, os.X_OK))
    missing = [name for name in REQUIRED if name not in there]
    if missing:
        raise ConfigurationError(
            f"{VARIABLE} names {value}, which has no executable {' and no '.join(missing)}: {REMEDY}"
        )
    return Binaries(folder, there)
