"""The command line of ``kubectl lws``."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

import lws
from lws.cli.kubectl import main
from lws.cli.kubectl.arguments import UsageError, parse
from lws.client.quickimport import import_http
from tests.cli.test_kubectl_terminals import cluster

SECRET = "s3cr3t-token"


@pytest.mark.parametrize("name", ["vllm", "lws/vllm", "leaderworkerset/vllm", "leaderworkersets/vllm", "LWS/vllm"])
def test_a_set_is_named_as_in_kubectl(name: str) -> None:
    """NAME and TYPE/NAME are the same set."""
    assert parse(["tree", name]).name == "vllm"


@pytest.mark.parametrize("name", ["", "lws/", "/"])
def test_an_empty_name_is_refused(name: str) -> None:
    """An empty name, as of an unset variable in a script, is no set."""
    with pytest.raises(UsageError, match=r"empty|NAME, lws/NAME"):
        parse(["tree", name])


def test_another_kind_is_refused() -> None:
    """Only LeaderWorkerSets are looked at."""
    with pytest.raises(UsageError, match="only LeaderWorkerSets"):
        parse(["tree", "sts/web"])


@pytest.mark.parametrize(
    "line",
    [
        "-n ns --kubeconfig f --context=c rollout status web --timeout 5m",
        "rollout -n ns --kubeconfig f status --context=c web --timeout=5m",
        "rollout status web --timeout 300s -n=ns --kubeconfig=f --context c -v 6 --cache-dir /d",
    ],
)
def test_global_flags_stand_anywhere(line: str) -> None:
    """Kubectl's global flags are taken before, within and after a command."""
    found = parse(line.split())
    assert (found.command, found.name, found.timeout, found.watch) == ("rollout status", "web", 300.0, True)
    assert (found.overrides.namespace, found.overrides.kubeconfig, found.overrides.context) == ("ns", "f", "c")


def test_all_of_kubectls_global_flags_are_taken() -> None:
    """Every flag that `kubectl options` lists is known, whether or not it changes anything here."""
    line = (
        "tree web --as me --as-group a --as-group b --as-uid u --as-user-extra k=v --cache-dir d "
        "--certificate-authority c --client-certificate c --client-key k --cluster c --context c "
        "--disable-compression=false --insecure-skip-tls-verify=true --kubeconfig k --kuberc k "
        "--match-server-version=false -n n --profile none --profile-output p --request-timeout 5s -s s "
        "--tls-server-name t --token t --user u --v=0 --vmodule m --warnings-as-errors=false --log-flush-frequency 5s"
    )
    found = parse(line.split()).overrides
    assert found.impersonate_groups == ("a", "b")
    assert found.impersonate_extra == {"k": ("v",)}
    assert (found.insecure_skip_tls_verify, found.request_timeout) == (True, 5.0)


@pytest.mark.parametrize(
    "line",
    [
        f"--tokn {SECRET} tree web",
        f"tree web --tokn={SECRET}",
        f"tree web {SECRET}",
        f"{SECRET} web --token",
        f"--token {SECRET} trea web",
        f"rollout {SECRET} web",
        f"rollout status web --timeout {SECRET}",
        f"rollout undo web --to-revision {SECRET}",
        f"tree web --insecure-skip-tls-verify={SECRET}",
        f"-t{SECRET} tree web",
    ],
)
def test_usage_errors_never_print_a_value(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is wrong is named by its flag or place; a token that stands at the wrong place is not printed."""
    assert main.main(line.split()) == 2
    told = capsys.readouterr()
    assert told.err.startswith("kubectl-lws: ")
    assert told.err.count("\n") == 1
    assert SECRET not in told.err + told.out


@pytest.mark.parametrize(("line", "revision"), [("web", 0), ("web --to-revision 0", 0), ("web --to-revision=3", 3)])
def test_revision_nought_is_the_previous_one(line: str, revision: int) -> None:
    """--to-revision 0 is the default, as in kubectl."""
    assert parse(["rollout", "undo", *line.split()]).revision == revision


@pytest.mark.parametrize(
    ("line", "watch", "timeout"),
    [("", True, None), ("--watch=false", False, None), ("-w --timeout 0s", True, None), ("--timeout=90", True, 90.0)],
)
def test_rollout_status_follows_unless_told_otherwise(line: str, watch: bool, timeout: float | None) -> None:
    """Watching is the default, without an end; as in kubectl."""
    found = parse(["rollout", "status", "web", *line.split()])
    assert (found.watch, found.timeout) == (watch, timeout)


@pytest.mark.parametrize("line", ["version", "--version"])
def test_the_version_is_printed_without_a_cluster(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Both spellings print it."""
    assert main.main([line]) == 0
    assert capsys.readouterr().out == f"kubectl-lws {lws.__version__}\n"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("help", "COMMAND"),
        ("", "COMMAND"),
        ("--help", "global flags"),
        ("help rollout", "history"),
        ("help rollout undo", "--to-revision"),
        ("tree --help", "NAME"),
    ],
)
def test_help_is_there_in_every_spelling(line: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`help`, `help COMMAND`, `--help` and nothing at all print help."""
    with pytest.raises(SystemExit) as ended:
        main.main(line.split())
    assert ended.value.code == 0
    assert words in capsys.readouterr().out


LIGHT = "import sys; from lws.cli.kubectl.main import main\ntry: main({line!r}.split())\nexcept SystemExit: pass\n"
COUNT = "sys.stderr.write(' '.join(sorted({name.partition('.')[0] for name in sys.modules})))"


def modules(line: str) -> set[str]:
    """The packages that a process has imported when the command has ended."""
    code = LIGHT.format(line=line) + COUNT
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return set(done.stderr.splitlines()[-1].split())


FOREIGN = {"cryptography", "kubernetes_asyncio", "pydantic", "structlog"}  # to all that looks at a cluster for a moment
HEAVY = FOREIGN | {"aiohttp", "asyncio", "msgspec", "rich", "yaml"}


@pytest.mark.parametrize("line", ["version", "help", "tree"])
def test_what_needs_no_cluster_imports_nothing_for_one(line: str) -> None:
    """Version, help and usage errors load neither client nor models."""
    assert not modules(line) & HEAVY


DIAGNOSIS = "lws.planning.leaderworkerset.diagnosis.diagnose"
DOCUMENTS = "lws.cli.kubectl.documents"


@pytest.mark.parametrize(
    ("line", "unused"),
    [
        ("list", {"rich", DIAGNOSIS, "lws.cli.kubectl.observe"}),
        ("top web", {"rich", DIAGNOSIS, "lws.cli.kubectl.observe"}),
        ("explain-stuck web", {"rich", DOCUMENTS}),
        ("tree web", {DOCUMENTS, "lws.cli.kubectl.export"}),
        pytest.param("status web", {DOCUMENTS, "lws.cli.kubectl.export"}, marks=pytest.mark.long),
        pytest.param("rollout history web", {DOCUMENTS, "lws.cli.kubectl.export"}, marks=pytest.mark.long),
    ],
)
async def test_a_command_imports_nothing_of_the_others(line: str, unused: set[str], tmp_path: Path) -> None:
    """What only other commands or forms of output need is not loaded: half of a short command is imports."""
    code = LIGHT.format(line=line) + "sys.stderr.write(' '.join(sys.modules))"
    async with cluster(tmp_path) as kubeconfig:
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
            env={**os.environ, "KUBECONFIG": str(kubeconfig)},
        )
    assert done.stdout, done.stderr
    assert not (unused | FOREIGN) & set(done.stderr.split())


def test_the_quick_import_leaves_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Certificates that the user trusts are trusted afterwards, and by what the command starts."""
    monkeypatch.setenv("SSL_CERT_FILE", "/etc/mine.pem")
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    import_http()
    assert os.environ["SSL_CERT_FILE"] == "/etc/mine.pem"
    assert "SSL_CERT_DIR" not in os.environ
