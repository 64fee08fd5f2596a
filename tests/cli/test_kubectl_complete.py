"""Completion: what kubectl's shells are told, and that bash, zsh and fish offer it."""

from __future__ import annotations

from typing import Any

import pytest

from lws.cli.kubectl import complete, suggest
from lws.cli.kubectl.commandline import command_parser, flags
from lws.client.connection import find_kubeconfig
from lws.errors import ConfigurationError, ForbiddenError
from tests.cli.shelf import Shelf, site
from tests.virtual import virtual_time


def offered(line: str) -> list[str]:
    """Suggestions without their descriptions, and the directive."""
    found, directive = complete.suggestions(line.split(" "))
    return [*(one.partition("\t")[0] for one in found), f":{directive}"]


@pytest.fixture(autouse=True)
def cluster(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str], str]]:
    """A cluster that knows one name of everything; what it was asked."""
    asked: list[tuple[str, list[str], str]] = []

    def answer(reading: Any, given: list[str], name: str, timeout: float) -> list[str]:
        asked.append((reading.__name__, given, name))
        return [f"{reading.__name__}-1", "other"]

    monkeypatch.setattr(suggest, "ask", answer)
    return asked


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("tre", ["tree", ":4"]),
        ("rollout re", ["resume", ":4"]),
        ("help expl", ["explain-stuck", ":4"]),
        ("tree s", ["sets-1", ":4"]),
        ("tree web ", [":4"]),
        ("tree -o ", ["json", "name", "wide", "yaml", ":4"]),
        ("tree --output=j", ["json", ":4"]),
        ("events web --types W", ["Warning", ":4"]),
        ("logs web --group g", ["groups-1", ":4"]),
        ("logs web --group=g", ["groups-1", ":4"]),
        ("logs web -c c", ["containers-1", ":4"]),
        ("exec web --group 0 --worker w", ["workers-1", ":4"]),
        ("exec web --group 0 -- l", [":0"]),
        ("rollout undo web --to-revision r", ["revisions-1", ":4"]),
        ("diff web r", ["revisions-1", ":4"]),
        ("diff web 1 2 ", [":4"]),
        ("hand-back web s", ["sets-1", ":4"]),
        ("list ", [":4"]),
        ("list -l ", [":4"]),
        ("plan d", ["drain", ":4"]),
        ("plan drain n", ["nodes-1", ":4"]),
        ("plan scale s", ["sets-1", ":4"]),
        ("plan scale web ", [":4"]),
        ("plan web --set im", ["image=", ":6"]),
        ("plan -f ", [":0"]),
        ("-n n", ["namespaces-1", ":4"]),
        ("tree --as me s", ["sets-1", ":4"]),
        ("nonsense --unknown x", [":4"]),
    ],
)
def test_the_unfinished_word_is_completed_by_where_it_stands(line: str, expected: list[str]) -> None:
    """Commands, names of sets, values of flags, revisions and nodes, each where it can stand; and no file names."""
    assert offered(line) == expected


def test_every_flag_of_a_command_is_offered_with_kubectls_own() -> None:
    """A command's flags and the global ones; not those of other commands."""
    found = offered("restart web --")
    assert {"--group", "--now", "--timeout", "--namespace", "--context"} <= set(found)
    assert "--to-revision" not in found
    assert "--all-containers" in flags(command_parser())


def test_global_flags_reach_the_cluster(cluster: list[tuple[str, list[str], str]]) -> None:
    """The cluster, identity and namespace of the line are those that are asked."""
    offered("-n prod --context=east logs lws/web --as me --group ")
    assert cluster == [("groups", ["--namespace=prod", "--context=east", "--as=me"], "web")]


def test_trouble_is_silent(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is wrong, a shell gets an end and exit code 0, and nothing on standard error."""
    monkeypatch.undo()
    for line in (["tree", "--kubeconfig", "/nowhere", ""], ["--context", ""], []):
        assert complete.main(line) == 0
        told = capsys.readouterr()
        assert told.out.splitlines()[-1] == ":4"
        assert told.err == ""


@virtual_time
async def test_what_the_cluster_is_asked() -> None:
    """Groups, members, containers and revisions are those of the set's own objects."""
    shelf: Any = site(2, 2)
    found = [
        await reading(shelf, "default", "web")
        for reading in (suggest.sets, suggest.groups, suggest.workers, suggest.containers, suggest.revisions)
    ]
    assert found == [["web"], ["0", "1"], ["0", "1"], ["main"], ["1", "2"]]
    assert await suggest.nodes(shelf) == ["node-0", "node-1"]


@virtual_time
async def test_what_may_not_be_read_is_not_offered() -> None:
    """An API that is missing or forbidden leaves the others."""

    class Refusing(Shelf):
        async def list(self, *_: Any, **__: Any) -> Any:
            raise ForbiddenError(403, "Forbidden", "no")

    refusing: Any = Refusing({})
    assert await suggest.sets(refusing, "default", "") == []


def test_contexts_come_from_the_kubeconfig(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of contexts, of every file that is listed."""
    monkeypatch.undo()
    for name in ("one", "two"):
        (tmp_path / name).write_text(f"contexts: [{{name: {name}, context: {{}}}}]\n")
    both = f"{tmp_path}/one:{tmp_path}/two"
    assert offered(f"--kubeconfig {both} --context ") == ["one", "two", ":4"]
    with pytest.raises(ConfigurationError):
        find_kubeconfig(f"{both}:/nowhere")
