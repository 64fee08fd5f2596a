"""Builds a release of Kubernetes, its kubectl, Helm, and Prometheus, from the Go modules in hack/control-plane.

    python3 hack/control_plane.py build 1.36 [--node] [--partners] [--cache FOLDER]
    python3 hack/control_plane.py where 1.36 [--cache FOLDER]

``build`` prints a line for each binary, leaves those alone that are up to date, and ends with the line that exports
KUBEBUILDER_ASSETS. ``where`` prints the folder if a build is complete, and fails without one. ``--node`` adds kubelet,
kube-proxy and CoreDNS, and ``--partners`` what stands on us, from the Go modules in hack/partners. Needs no package.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MODULES: Final = Path(__file__).resolve().parent / "control-plane"
PARTNERS: Final = MODULES.with_name("partners")
RELEASES: Final = tuple(sorted(path.name for path in MODULES.glob("1.*")))
ETCD: Final = "go.etcd.io/etcd/server/v3"
PROMETHEUS_MODULE: Final = "github.com/prometheus/prometheus"
KUBERNETES: Final = "k8s.io/kubernetes"
CONTROL_PLANE: Final = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
NODE: Final = ("kubelet", "kube-proxy")
# Where Kubernetes' own build writes its version; without it a server calls itself v0.0.0.
VERSION_PACKAGES: Final = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
TOLD: Final = 20  # lines of what Go says when it fails
NO_GO: Final = """\
Go is not installed. `make control-plane` builds a control plane from Go modules. It needs:
  * Go {go} or newer in PATH, and a way to a Go module proxy;
  * 3 GiB of memory, 6 GiB of disk for Go's caches, and about ten minutes on two cores, once.
Without Go, use the binaries that controller-runtime's setup-envtest downloads, or any other folder with etcd and
kube-apiserver (kube-controller-manager, kube-scheduler and kubectl beside them are used too):
  export KUBEBUILDER_ASSETS="$(setup-envtest use {release} -p path)"\
"""


class BuildError(Exception):
    """A binary cannot be built; the message says why, for whoever started the build."""


@dataclass(frozen=True)
class Binary:
    """A command that one of our Go modules builds.

    Attributes:
        name: of the file.
        module: the folder of the Go module that builds it.
        package: its main package.
        source: the required Go module whose version is the binary's.
        tags: of the build.
        partner: whether its module is among those of partners.
        manifests: folders of the source whose YAML is kept in ``manifests`` beside ``bin``.
    """

    name: str
    module: str
    package: str
    source: str
    tags: str = ""
    partner: bool = False
    manifests: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Of the Go module."""
        return (PARTNERS if self.partner else MODULES) / self.module

    @property
    def version(self) -> str:
        """As the module's go.mod requires it."""
        text = (self.folder / "go.mod").read_text()
        found = re.search(rf"^(?:require|\t)\s*{re.escape(self.source)} (v\S+)", text, re.MULTILINE)
        if found is None:
            raise BuildError(f"{self.folder}/go.mod does not require {self.source}")
        return found[1]

    @property
    def link_flags(self) -> str:
        """What the linker writes into it: no symbols, and its version."""
        return " ".join(("-s -w", *(f"-X {name}={value}" for name, value in sorted(self._variables().items()))))

    @property
    def stamp(self) -> str:
        """What the binary is built from; equal stamps, equal binaries but for the compiler."""
        digest = hashlib.sha256(self.link_flags.encode())
        for path in (self.folder / "go.mod", self.folder / "go.sum", *sorted(self.folder.rglob("*.go"))):
            digest.update(path.read_bytes())
        digest.update(repr(self.manifests).encode() if self.manifests else b"")
        package = f"{self.package} -tags {self.tags}" if self.tags else self.package
        return f"{package} {self.version} {digest.hexdigest()}\n"

    def _variables(self) -> Mapping[str, str]:
        if self.source == KUBERNETES:
            major, minor, _ = self.version.removeprefix("v").split(".", 2)
            values = {"gitVersion": self.version, "gitMajor": major, "gitMinor": minor}
            return {f"{package}.{name}": value for package in VERSION_PACKAGES for name, value in values.items()}
        if self.source == PROMETHEUS_MODULE:
            _, minor, patch = self.version.split(".")  # the Go module of 3.16.0 is v0.316.0
            return {"github.com/prometheus/common/version.Version": f"{minor[:-2]}.{int(minor[-2:])}.{patch}"}
        if self.source.startswith("helm.sh/"):
            return {f"{self.source}/internal/version.version": self.version}
        return {}  # it is in the source, or nobody asks for it


HELM: Final = tuple(
    Binary(name, module, f"helm.sh/helm/{version}/cmd/helm", f"helm.sh/helm/{version}")
    for name, module, version in (("helm", "helm3", "v3"), ("helm4", "helm4", "v4"))
)

# Targets are written down by those who scrape, so no service discovery is built in, nor what it would need.
PROMETHEUS: Final = tuple(
    Binary(name, "prometheus", f"{PROMETHEUS_MODULE}/cmd/{name}", PROMETHEUS_MODULE, "remove_all_sd")
    for name in ("promtool", "prometheus")
)

KUEUE: Final = Binary(
    "kueue",
    "kueue",
    "sigs.k8s.io/kueue/cmd/kueue",
    "sigs.k8s.io/kueue",
    partner=True,
    manifests=("config/components/crd/bases", "config/components/webhook"),
)
CLIENT: Final = Binary("lws-client", "kueue", "./client", "sigs.k8s.io/lws", partner=True)
CERTMANAGER: Final = Binary(
    "certmanager",
    "certmanager",
    ".",
    "github.com/cert-manager/cert-manager",
    partner=True,
    manifests=("deploy/crds",),
)
GRAFANA: Final = Binary(
    "grafana-dashboard", "grafana", ".", "github.com/grafana/grafana-foundation-sdk/go", partner=True
)
PARTNER_PROGRAMS: Final = (KUEUE, CLIENT, CERTMANAGER, GRAFANA)
COREDNS: Final = Binary("coredns", "coredns", ".", "github.com/coredns/coredns", partner=True)


def binaries(release: str, *, node: bool = False, partners: bool = False) -> tuple[Binary, ...]:
    """What a release's folder holds, in the order in which it is built."""
    names = (*CONTROL_PLANE, *(NODE if node else ()))
    kubernetes = (Binary(name, release, f"{KUBERNETES}/cmd/{name}", KUBERNETES) for name in names)
    others = (*((COREDNS,) if node else ()), *(PARTNER_PROGRAMS if partners else ()))
    return (Binary("etcd", release, ETCD, ETCD), *kubernetes, *PROMETHEUS, *HELM, *others)


@dataclass(frozen=True)
class Cache:
    """Where binaries are kept, outside the tree: ``<root>/<module>/bin``, with their stamps beside it.

    Attributes:
        root: the folder of all modules.
    """

    root: Path

    @classmethod
    def default(cls, environ: Mapping[str, str]) -> Cache:
        """In the user's folder for caches."""
        return cls(Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lws-control-plane")

    def assets(self, release: str) -> Path:
        """The folder for KUBEBUILDER_ASSETS."""
        return self.root / release / "bin"

    def has(self, binary: Binary) -> bool:
        """Whether a binary is there, built from what its module says now."""
        stamp = self._stamp(binary)
        return os.access(self._file(binary), os.X_OK) and stamp.is_file() and stamp.read_text() == binary.stamp

    def build(self, binary: Binary, go: str) -> None:
        """Build it; what was there before stays until the new one is complete.

        Raises:
            BuildError: Go refuses; with what it says.
        """
        file, stamp = self._file(binary), self._stamp(binary)
        for folder in (file.parent, stamp.parent):
            folder.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_name(f".{file.name}.{os.getpid()}")
        try:
            _compile(binary, go, unfinished)
            self._keep_manifests(binary, go)
            unfinished.replace(file)
        finally:
            unfinished.unlink(missing_ok=True)
        stamp.write_text(binary.stamp)

    def link(self, binary: Binary, release: str) -> None:
        """Show a binary of another module in the release's folder."""
        link = self.assets(release) / binary.name
        if binary.module != release and not link.exists():
            link.unlink(missing_ok=True)
            link.symlink_to(os.path.relpath(self._file(binary), link.parent))

    def _keep_manifests(self, binary: Binary, go: str) -> None:
        if not binary.manifests:
            return
        source = Path(_go_says(binary, go, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", binary.source).strip())
        target = self.root / binary.module / "manifests"
        shutil.rmtree(target, ignore_errors=True)
        for folder in binary.manifests:
            (target / folder).mkdir(parents=True)
            for path in (source / folder).glob("*.yaml"):
                shutil.copyfile(path, target / folder / path.name)

    def _file(self, binary: Binary) -> Path:
        return self.root / binary.module / "bin" / binary.name

    def _stamp(self, binary: Binary) -> Path:
        return self.root / binary.module / "stamps" / binary.name


def _compile(binary: Binary, go: str, target: Path) -> None:
    tags = ("-tags", binary.tags) if binary.tags else ()
    flags = ("-mod=readonly", "-trimpath", *tags, "-ldflags", binary.link_flags)
    _go_says(binary, go, "build", *flags, "-o", str(target), binary.package)


def _go_says(binary: Binary, go: str, *arguments: str) -> str:
    done = subprocess.run(
        [go, *arguments],
        cwd=binary.folder,
        env={**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if not line.startswith("go: downloading ")]
        raise BuildError("\n".join((f"{binary.name} {binary.version} cannot be built:", *lines[-TOLD:])))
    return done.stdout


def build(release: str, cache: Cache, *, node: bool = False, partners: bool = False) -> None:
    """Build what is not up to date, with a line for each binary.

    Raises:
        BuildError: Go is missing, or refuses.
    """
    wanted = binaries(release, node=node, partners=partners)
    go = "" if all(map(cache.has, wanted)) else _go(wanted, release)
    for binary in wanted:
        print(f"{binary.name} {binary.version}: ", end="", flush=True)
        if cache.has(binary):
            print("up to date")
        else:
            begun = time.monotonic()
            try:
                cache.build(binary, go)
            except BuildError:
                print("failed", flush=True)
                raise
            print(f"built in {time.monotonic() - begun:.0f} s")
        cache.link(binary, release)
    print(f"export KUBEBUILDER_ASSETS={shlex.quote(str(cache.assets(release)))}")


def where(release: str, cache: Cache) -> None:
    """Print the folder of a complete build.

    Raises:
        BuildError: it is not complete.
    """
    missing = [binary.name for binary in binaries(release) if not cache.has(binary)]
    if missing:
        raise BuildError(f"{', '.join(missing)}: not built; `make control-plane K8S={release}` does it")
    print(cache.assets(release))


def _go(wanted: Sequence[Binary], release: str) -> str:
    found = shutil.which("go")
    if found is None:
        modules = [(folder / "go.mod").read_text() for folder in {each.folder for each in wanted}]
        needed = max(int(minor) for text in modules for minor in re.findall(r"^go 1\.(\d+)", text, re.MULTILINE))
        raise BuildError(NO_GO.format(go=f"1.{needed}", release=release))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, or say where; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("action", choices=("build", "where"))
    parser.add_argument("release", choices=RELEASES, help="minor release of Kubernetes")
    parser.add_argument("--node", action="store_true", help="build kubelet and kube-proxy too")
    parser.add_argument(
        "--partners", action="store_true", help="build Kueue, cert-manager, Go clients and Grafana of ours too"
    )
    parser.add_argument("--cache", type=Path, default=None, help="the folder to build into")
    options = parser.parse_args(arguments)
    cache = Cache(options.cache.resolve()) if options.cache else Cache.default(os.environ)
    try:
        if options.action == "build":
            build(options.release, cache, node=options.node, partners=options.partners)
        else:
            where(options.release, cache)
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
