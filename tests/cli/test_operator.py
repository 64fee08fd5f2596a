"""lws-operator as a command: what it prints without a cluster, exit codes, sentences (operator 5.1)."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
import yaml

from lws.cli.operand import archive
from lws.cli.operator import main
from lws.planning.operand import facts_file
from lws.planning.operand.facts import ClusterTls, Facts

IMAGE = "registry.example/lws:v9"


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither a pod nor a kubeconfig."""
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RELATED_IMAGE_OPERAND_IMAGE", IMAGE)


def rendered(*arguments: str, capsys: pytest.CaptureFixture[str]) -> dict[tuple[str, str], dict[str, object]]:
    """What ``render`` prints, by kind and name."""
    assert main(["render", *arguments]) == 0
    objects = yaml.load_all(capsys.readouterr().out, Loader=yaml.CSafeLoader)
    return {(each["kind"], each["metadata"]["name"]): each for each in objects}


def test_render_prints_an_installation_without_a_cluster(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The objects are those of the object and the facts that are given, with the image that the operator is told."""
    cr, facts = tmp_path / "cr.yaml", tmp_path / "facts.yaml"
    cr.write_text("kind: LeaderWorkerSetOperator\nspec: {operand: {replicas: 3}, networkPolicy: {mode: Disabled}}\n")
    facts.write_text("namespace: elsewhere\nopenshift: true\n")
    plain = rendered(capsys=capsys)
    assert ("NetworkPolicy", "lws-controller-manager") in plain
    found = rendered("--cr", str(cr), "--facts", str(facts), capsys=capsys)
    assert ("NetworkPolicy", "lws-controller-manager") not in found
    deployment: object = found["Deployment", "lws-controller-manager"]
    text = yaml.safe_dump(deployment)
    assert "namespace: elsewhere" in text
    assert "replicas: 3" in text
    assert f"image: {IMAGE}" in text
    assert "runAsUser" not in text


FAULTS = {
    "no cluster": (["diff"], "no cluster is configured"),
    "no such file": (["render", "--cr", "/no/such/file"], "No such file"),
    "another kind": (["render", "--cr", "OTHER"], "it is no LeaderWorkerSetOperator"),
    "unknown facts": (["render", "--facts", "OTHER"], "unknown member kind"),
    "wrong type": (["render", "--cr", "WRONG"], "spec.operand.replicas must be of type integer, not 'many'"),
    "misspelt": (["render", "--cr", "WRONG"], "spec.certificates has no member mod; it has issuerRef, mode"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_what_cannot_be_done_is_told_in_one_sentence(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is 2, which is not that of a difference."""
    arguments, sentence = FAULTS[case]
    other = tmp_path / "other.yaml"
    other.write_text("kind: Pod\n")
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("kind: LeaderWorkerSetOperator\nspec: {operand: {replicas: many}, certificates: {mod: Auto}}\n")
    files = {"OTHER": str(other), "WRONG": str(wrong)}
    assert main([files.get(each, each) for each in arguments]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_facts_survive_their_file() -> None:
    """What gather writes render reads."""
    tls = ClusterTls("Custom", "VersionTLS12", ("A", "B"))
    facts = Facts("a", "b", "uid", openshift=True, served=frozenset({"x", "y"}), tier=1, tls=tls)
    content = yaml.safe_load(yaml.safe_dump(facts_file.to_json(facts)))
    assert facts_file.from_json(content, Facts("", "", "")) == facts


def test_an_archive_holds_the_files() -> None:
    """``gather -`` writes a tar archive in which every file stands under one folder."""
    with tarfile.open(fileobj=io.BytesIO(archive({"a/b.txt": b"text"}))) as tar:
        member = tar.extractfile("lws/a/b.txt")
        assert member is not None
        assert member.read() == b"text"
