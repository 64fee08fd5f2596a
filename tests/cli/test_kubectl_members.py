"""Commands that go into the pods of a group: logs, exec, events."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterable
from typing import Any

import pytest

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import CORE_EVENTS, PODS
from lws.cli.kubectl import execute, suggest
from lws.cli.kubectl.commandline import UsageError
from lws.cli.kubectl.events import Family, Place
from lws.cli.kubectl.terminal import Terminal
from lws.errors import ConfigurationError
from tests.cli.sessions import Plugin, session
from tests.cli.shelf import event, leaderworkerset, pod, site
from tests.virtual import virtual_time

LOGS = {("web-0", "main"): [b"one\ntw", b"o\nthree"], ("web-0-1", "main"): [b"\xffbad\r\n"]}


@virtual_time
async def test_every_line_of_a_log_has_its_pod() -> None:
    """Lines are put together from pieces, in the order of the members, each with pod and container."""
    shelf = site()
    shelf.logs = dict(LOGS)
    plugin = Plugin(shelf)
    assert (await plugin.run("logs web --group 0")).splitlines() == [
        "[web-0/main] one",
        "[web-0/main] two",
        "[web-0/main] three",
        "[web-0-1/main] \ufffdbad",
    ]
    assert plugin.code == 0


@virtual_time
async def test_a_log_that_cannot_be_read_keeps_no_other_back() -> None:
    """A container that has not started is told with its pod on standard error, and the exit code is 1."""
    shelf = site()
    shelf.logs = {("web-0-1", "main"): [b"here\n"]}
    plugin = Plugin(shelf)
    assert await plugin.run("logs web --group 0 -f") == "[web-0-1/main] here\n"
    assert (plugin.code, plugin.errors) == (
        1,
        ['web-0: container "main" in pod "web-0" is waiting to start'],
    )


@virtual_time
async def test_flags_of_logs_reach_the_kubelet() -> None:
    """Each flag becomes the query parameter that kubectl sends; JSON has a document for each line."""
    shelf = site()
    shelf.logs = dict(LOGS)
    plugin = Plugin(shelf)
    printed = await plugin.run("logs web --group 0 -c main -p -f --tail 5 --since 2m -o json")
    assert json.loads(printed.splitlines()[0])["line"]
    query = dict(shelf.requests[0].query)
    wanted = {"container": "main", "follow": "true", "previous": "true", "tailLines": "5", "sinceSeconds": "120"}
    assert query == wanted
    with pytest.raises(ConfigurationError, match="no pod has a container sidecar"):
        await plugin.run("logs web -c sidecar")
    with pytest.raises(ConfigurationError, match="group 7 of web has no pods"):
        await plugin.run("logs web --group 7")


@virtual_time
async def test_the_default_container_is_kubectls() -> None:
    """The annotation chooses, else the first; --all-containers takes init containers along."""
    shelf = site(1, 1)
    many = [{"name": "first"}, {"name": "marked"}]
    marked = {"kubectl.kubernetes.io/default-container": "marked", labels.SIZE: "1"}
    shelf.objects[PODS] = [
        pod("web", 0, spec={"containers": many, "initContainers": [{"name": "init"}]}, metadata={"annotations": marked})
    ]
    shelf.logs = {("web-0", name): [b"x\n"] for name in ("init", "first", "marked")}
    assert await Plugin(shelf).run("logs web") == "[web-0/marked] x\n"
    everything = (await Plugin(shelf).run("logs web --all-containers")).split()
    assert everything[::2] == ["[web-0/init]", "[web-0/first]", "[web-0/marked]"]


class Colours(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        """It is one."""
        return True


@pytest.mark.parametrize(
    ("environ", "coloured"),
    [({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
)
@virtual_time
async def test_prefixes_have_colours_where_they_are_wanted(environ: dict[str, str], coloured: bool) -> None:
    """On a terminal, unless it is dumb or NO_COLOR is set."""
    stream, shelf = Colours(), site()
    shelf.logs = dict(LOGS)
    made, _ = session(shelf, "logs web --group 0", Terminal(stream, environ))
    from lws.cli.kubectl import logs

    await logs.run(made)
    assert ("\x1b[" in stream.getvalue()) is coloured


@virtual_time
async def test_exec_becomes_kubectl_in_the_members_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pod is found by group and worker; cluster, identity and command are passed on as they were given."""
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/kubectl")
    became: list[tuple[str, list[str]]] = []
    line = "exec web --group 1 --worker 1 -c main -it --context c --as me --as-group g --token t -- nvidia-smi -L"
    made, _ = session(site(), line)
    await execute.run(made, lambda path, arguments: became.append((path, arguments)))
    ((path, arguments),) = became
    assert path == "/usr/bin/kubectl"
    assert (
        arguments
        == (
            "kubectl --context=c --token=t --as=me --as-group=g -n default exec web-1-1 -c main -i -t -- nvidia-smi -L"
        ).split()
    )


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("exec web --group 1 --worker 5 -- ls", "group 1 of web has no worker 5 now"),
        ("exec web --group 9 -- ls", "group 9 of web has no pods"),
    ],
)
@virtual_time
async def test_exec_in_nobody_says_who_is_missing(line: str, words: str) -> None:
    """A member that is not there is named."""
    with pytest.raises(ConfigurationError, match=words):
        await execute.run(session(site(), line)[0], print)


@pytest.mark.parametrize("line", ["exec web --group 0", "exec web --group 0 --", "tree web -- ls", "exec web -- ls"])
def test_what_exec_wants_is_said(line: str) -> None:
    """A group, and a command after two dashes; no other command takes one."""
    with pytest.raises(UsageError):
        session(site(), line)


SETS = {"web": "uid-web"}
LIVING = {("Pod", "web-0-1"): "0", ("StatefulSet", "web"): ""}


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("LeaderWorkerSet", "web", Place("")),
        ("Pod", "web-0-1", Place("0")),
        ("StatefulSet", "web", Place("")),
        ("Pod", "web-3", Place("3")),  # gone
        ("Pod", "web-3-2", Place("3")),
        ("StatefulSet", "web-3", Place("3")),
        ("Pod", "web-3-0", None),  # no worker has this index
        ("Pod", "web-2-1", None),  # of the set web-2, or of its
        ("LeaderWorkerSet", "web-2", None),
        ("Pod", "web-front", None),
        ("Deployment", "web", Place("")),
        ("Node", "web", None),
    ],
)
def test_whose_an_event_is(kind: str, name: str, expected: Place | None) -> None:
    """Living objects are known by their labels, others by their names; the longer of two fitting sets has them."""
    family = Family(SETS, LIVING, ["web-2"])
    uid = SETS.get(name, "other") if kind == "LeaderWorkerSet" else "x"
    assert family.place({"kind": kind, "name": name, "uid": uid}) == expected


def test_events_of_an_earlier_set_of_the_name_are_not_its() -> None:
    """A set that was deleted and made again does not inherit."""
    assert Family(SETS, {}).place({"kind": "LeaderWorkerSet", "name": "web", "uid": "earlier"}) is None


def reasons(printed: str) -> Iterable[Any]:
    """Reasons in their order."""
    return [one["reason"] for one in json.loads(printed)["items"]]


@virtual_time
async def test_a_group_known_by_a_key_is_named_by_its_beginning() -> None:
    """Eight digits are enough for logs, events and completion, as status and events give them."""
    key, shelf = "8f14e45fceea167a5a36", site(1, 1)
    shelf.objects[PODS][0]["metadata"]["labels"][labels.GROUP_INDEX] = key
    shelf.logs = {("web-0", "main"): [b"here\n"]}
    shelf.objects[CORE_EVENTS] = [event("Pod", "web-0", "Started", "a")]
    assert await Plugin(shelf).run("logs web --group 8f14e45f") == "[web-0/main] here\n"
    assert reasons(await Plugin(shelf).run("events web --group 8f14e45f -o json")) == ["Started"]
    client: Any = shelf
    assert await suggest.groups(client, "default", "web") == ["8f14e45f"]


@virtual_time
async def test_events_are_merged_by_time_and_can_be_chosen() -> None:
    """Within a second the order of storing counts; --group and --types choose."""
    shelf = site()
    shelf.objects[LEADERWORKERSETS].append(leaderworkerset("web-1", 1, 1))
    shelf.objects[CORE_EVENTS] = [
        event("Pod", "web-1", "Second", "b", time="2026-01-01T00:00:01.500000Z", version=9),
        event("StatefulSet", "web", "Third", "c", time="2026-01-01T00:00:02Z", type="Warning"),
        event("LeaderWorkerSet", "web", "First", "a", time="2026-01-01T00:00:01Z", version=3, uid="uid-web"),
        event("Pod", "other-0", "Foreign", "d"),
    ]
    plugin = Plugin(shelf)
    assert reasons(await plugin.run("events web -o json")) == ["First", "Second", "Third"]
    assert reasons(await plugin.run("events web --group 1 -o json")) == ["Second"]
    assert reasons(await plugin.run("events web --types warning -o json")) == ["Third"]
    assert await plugin.run("events web --group 4") == ""
    assert plugin.errors == ["no such events of web are stored; API servers keep them for an hour by default"]
