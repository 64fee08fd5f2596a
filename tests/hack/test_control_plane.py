"""`make control-plane`: what is built from which module, what is built again, and what it says without Go."""

from __future__ import annotations

import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from hack import control_plane
from hack.control_plane import KUBERNETES, MODULES, PARTNERS, RELEASES, Binary, binaries, main

RELEASE: Final = "1.36"
NAMES: Final = (
    "etcd kube-apiserver kube-controller-manager kube-scheduler kubectl promtool prometheus helm helm4".split()
)
# Stands in for Go: notes how it was called, and writes the file that it was asked for, unless it is told to fail.
GO: Final = """\
#!/bin/sh
IFS='\t'
if [ "$1" = list ]; then
    echo {source}
    exit
fi
echo "$PWD\t$CGO_ENABLED\t$GOWORK\t$*" >>{calls}
while [ $# -gt 1 ]; do
    [ "$1" != -o ] || target=$2
    shift
done
if [ "$1" = "$REFUSED" ]; then
    echo "go: downloading example.com/more v1.0.0" >&2
    echo "the proxy is away" >&2
    exit 1
fi
printf %s "$1" >"$target"
/bin/chmod 755 "$target"
"""


class Call(NamedTuple):
    """How Go was called."""

    folder: str
    cgo: str
    work: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Workshop:
    """A machine with a Go that only pretends.

    Attributes:
        cache: the folder to build into.
        calls: where Go notes how it was called.
    """

    cache: Path
    calls: Path

    def run(self, action: str, *options: str) -> int:
        """Run the command for the release; returns its exit code."""
        return main([action, RELEASE, "--cache", str(self.cache), *options])

    def built(self) -> list[Call]:
        """The calls of Go since the last time."""
        lines = [line.split("\t") for line in self.calls.read_text().splitlines()]
        self.calls.write_text("")
        return [Call(folder, cgo, work, tuple(arguments)) for folder, cgo, work, *arguments in lines]

    def packages(self) -> list[str]:
        """What was built since the last time."""
        return [call.arguments[-1] for call in self.built()]


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """An empty cache, and the only command in PATH is the stand-in for Go."""
    tools, calls = tmp_path / "tools", tmp_path / "calls"
    tools.mkdir()
    calls.write_text("")
    source = tmp_path / "source"
    for folder in ("config/components/crd/bases", "config/components/webhook", "deploy/crds"):
        (source / folder).mkdir(parents=True)
        (source / folder / "one.yaml").write_text(folder)
        (source / folder / "README.md").write_text(folder)
    (tools / "go").write_text(GO.format(calls=shlex.quote(str(calls)), source=shlex.quote(str(source))))
    (tools / "go").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools))
    return Workshop(tmp_path / "cache", calls)


def test_everything_is_built_into_one_folder(workshop: Workshop, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each binary with its version, the line to export last; the folder has them all, Helm too."""
    assert workshop.run("build") == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert [re.sub(r"v\d+\.\d+\.\d+: built in \d+ s", "VERSION", line) for line in lines] == [
        f"{name} VERSION" for name in NAMES
    ]
    folder = workshop.cache / RELEASE / "bin"
    assert last == f"export KUBEBUILDER_ASSETS={folder}"
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        binary.name: binary.package for binary in binaries(RELEASE)
    }


def test_builds_are_reproducible_and_know_their_version(workshop: Workshop) -> None:
    """go.sum decides what is built, no path of the machine gets in, and servers tell the release that they are."""
    workshop.run("build")
    etcd, api_server, *_, helm = workshop.built()
    assert (api_server.folder, api_server.cgo, api_server.work) == (str(MODULES / RELEASE), "0", "off")
    assert {"-mod=readonly", "-trimpath"} <= set(api_server.arguments)
    version = binaries(RELEASE)[1].version
    flags = _linked(api_server)
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
        for name, value in {"gitVersion": version, "gitMajor": "1", "gitMinor": "36"}.items():
            assert f"-X {package}.{name}={value}" in flags
    assert "-X" not in _linked(etcd)
    assert "-X helm.sh/helm/v4/internal/version.version=v4." in _linked(helm)


def _linked(call: Call) -> str:
    return call.arguments[call.arguments.index("-ldflags") + 1]


def test_what_is_up_to_date_stays(workshop: Workshop, capsys: pytest.CaptureFixture[str]) -> None:
    """A second build calls Go for nothing, says so, and needs no Go at all."""
    workshop.run("build")
    workshop.built()
    capsys.readouterr()
    assert workshop.run("build") == 0
    assert workshop.packages() == []
    assert capsys.readouterr().out.count(": up to date\n") == len(NAMES)


def test_node_adds_kubelet_kube_proxy_and_coredns(workshop: Workshop) -> None:
    """Only these three are built on top of what is there."""
    workshop.run("build")
    workshop.built()
    assert workshop.run("build", "--node") == 0
    assert workshop.packages() == [f"{KUBERNETES}/cmd/kubelet", f"{KUBERNETES}/cmd/kube-proxy", "."]


def test_partners_come_with_their_manifests(workshop: Workshop) -> None:
    """Four more binaries on top of what is there, and the YAML that their modules publish, kept beside them."""
    workshop.run("build")
    workshop.built()
    assert workshop.run("build", "--partners") == 0
    assert workshop.packages() == ["sigs.k8s.io/kueue/cmd/kueue", "./client", ".", "."]
    assert (workshop.cache / RELEASE / "bin" / "lws-client").resolve() == workshop.cache / "kueue/bin/lws-client"
    kept = sorted(
        path.relative_to(workshop.cache) for path in workshop.cache.glob("*/manifests/**/*") if path.is_file()
    )
    assert [str(path) for path in kept] == [
        "certmanager/manifests/deploy/crds/one.yaml",
        "kueue/manifests/config/components/crd/bases/one.yaml",
        "kueue/manifests/config/components/webhook/one.yaml",
    ]
    assert workshop.run("build", "--partners") == 0
    assert workshop.packages() == []


def test_a_program_of_ours_is_built_again_when_it_changes(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sources belong to what a binary is built from."""
    shutil.copytree(PARTNERS, tmp_path / "partners")
    monkeypatch.setattr(control_plane, "PARTNERS", tmp_path / "partners")
    workshop.run("build", "--partners")
    workshop.built()
    (tmp_path / "partners/certmanager/more.go").write_text("package main\n")
    assert workshop.run("build", "--partners") == 0
    assert workshop.packages() == ["."]


def test_a_build_goes_on_where_it_stopped(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends at the binary that Go refuses, with Go's words; the next build does not repeat what was before that."""
    refused = f"{KUBERNETES}/cmd/kube-scheduler"
    monkeypatch.setenv("REFUSED", refused)
    assert workshop.run("build") == 1
    said = capsys.readouterr()
    assert re.fullmatch(r"kube-scheduler v[\d.]+: failed", said.out.splitlines()[-1])
    assert re.fullmatch(r"kube-scheduler v[\d.]+ cannot be built:\nthe proxy is away\n", said.err)
    assert sorted(path.name for path in (workshop.cache / RELEASE / "bin").iterdir()) == sorted(NAMES[:3])
    monkeypatch.delenv("REFUSED")
    workshop.built()
    assert workshop.run("build") == 0
    assert workshop.packages() == [binary.package for binary in binaries(RELEASE)[3:]]


@pytest.mark.parametrize("damage", ["gone", "unmarked", "older"])
def test_what_is_not_up_to_date_is_built_again(workshop: Workshop, damage: str) -> None:
    """A binary that is missing, was interrupted before it was marked, or is of another version; and only that one."""
    workshop.run("build")
    workshop.built()
    binary, stamp = (workshop.cache / RELEASE / kind / "kubectl" for kind in ("bin", "stamps"))
    if damage == "older":
        stamp.write_text(stamp.read_text().replace(binaries(RELEASE)[4].version, "v1.36.0"))
    else:
        (binary if damage == "gone" else stamp).unlink()
    assert workshop.run("build") == 0
    assert workshop.packages() == [f"{KUBERNETES}/cmd/kubectl"]
    assert binary.read_text() == f"{KUBERNETES}/cmd/kubectl"


def test_another_requirement_is_another_binary(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A changed go.sum builds everything of its module again, and nothing of others."""
    copied = tmp_path / "modules"
    for name in (RELEASE, "helm3", "helm4", "prometheus"):
        (copied / name).mkdir(parents=True)
        for file in ("go.mod", "go.sum"):
            (copied / name / file).write_bytes((MODULES / name / file).read_bytes())
    monkeypatch.setattr(control_plane, "MODULES", copied)
    workshop.run("build")
    workshop.built()
    with (copied / "helm3" / "go.sum").open("a") as sums:
        sums.write("example.com/more v1.0.0 h1:=\n")
    assert workshop.run("build") == 0
    assert workshop.packages() == ["helm.sh/helm/v3/cmd/helm"]


def test_without_go_it_says_what_is_needed(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The version of Go, memory and disk, and the way without Go; what was built before is used without it."""
    path = workshop.calls.parent / "nothing"
    workshop.run("build")
    capsys.readouterr()
    monkeypatch.setenv("PATH", str(path))
    assert workshop.run("build") == 0
    (workshop.cache / RELEASE / "bin" / "etcd").unlink()
    capsys.readouterr()
    assert workshop.run("build") == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "Go 1.26 or newer" in said.err
    assert 'export KUBEBUILDER_ASSETS="$(setup-envtest use 1.36 -p path)"' in said.err


def test_where_tells_the_folder_of_a_complete_build_only(
    workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its output is the folder or nothing, so that a Makefile can take it; else it names what is missing."""
    assert workshop.run("where") == 1
    said = capsys.readouterr()
    assert (said.out, said.err.startswith("etcd, kube-apiserver, ")) == ("", True)
    workshop.run("build")
    capsys.readouterr()
    assert workshop.run("where") == 0
    assert capsys.readouterr().out == f"{workshop.cache / RELEASE / 'bin'}\n"


def test_caches_are_where_the_user_keeps_them() -> None:
    """``XDG_CACHE_HOME``, or ``.cache`` at home; never in the tree."""
    folder = control_plane.Cache.default({"XDG_CACHE_HOME": "/somewhere"}).assets(RELEASE)
    assert folder == Path("/somewhere/lws-control-plane/1.36/bin")
    assert Path.home() / ".cache/lws-control-plane/1.36/bin" == control_plane.Cache.default({}).assets(RELEASE)


@pytest.mark.parametrize("release", RELEASES)
def test_modules_build_what_is_asked_of_them(release: str) -> None:
    """Every binary is a tool of its module, of the release, and Kubernetes' own modules are all of the same version."""
    for binary in (each for each in binaries(release, node=True) if not each.partner):
        assert binary.package in _block(binary.module, "tool")
    version = _kubernetes(release).version
    assert version.startswith(f"v{release}.")
    replaced = _block(release, "replace")
    assert {line.split(" => ")[1] for line in replaced} == {
        f"{line.split(' => ')[0]} {version.replace('v1.', 'v0.', 1)}" for line in replaced
    }


def test_modules_hold_nothing_but_requirements() -> None:
    """Go.mod and go.sum of four releases, two Helms and Prometheus, and a page: no code of others is in the tree."""
    assert RELEASES == ("1.34", "1.35", "1.36", "1.37")
    files = {str(path.relative_to(MODULES)) for path in MODULES.rglob("*") if path.is_file()}
    folders = (*RELEASES, "definitions", "helm3", "helm4", "prometheus")
    assert files == {"README.md", *(f"{folder}/{name}" for folder in folders for name in ("go.mod", "go.sum"))}
    more = {str(path.relative_to(PARTNERS)) for path in PARTNERS.rglob("*") if path.is_file()}
    ours = {
        "certmanager/main.go",
        "coredns/main.go",
        "grafana/main.go",
        *(f"kueue/client/{name}.go" for name in ("main", "runtime", "sets", "typed")),
    }
    partners = ("certmanager", "coredns", "grafana", "kueue")
    assert more == {*ours, "README.md", *(f"{folder}/{name}" for folder in partners for name in ("go.mod", "go.sum"))}


def _kubernetes(release: str) -> Binary:
    return next(binary for binary in binaries(release) if binary.source == KUBERNETES)


def _block(module: str, verb: str) -> list[str]:
    """The lines of a go.mod under a verb, in parentheses or not."""
    text = (MODULES / module / "go.mod").read_text()
    blocks = re.findall(rf"^{verb} \(\n(.*?)^\)", text, re.MULTILINE | re.DOTALL)
    single = re.findall(rf"^{verb} ([^(\n]+)$", text, re.MULTILINE)
    return [line.strip() for block in blocks for line in block.splitlines()] + single
