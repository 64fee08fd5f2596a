"""Every command in every form: text, 60 columns, JSON by its schema, YAML and names."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hack import plugin_reference

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CORE_EVENTS
from lws.cli.kubectl import main
from lws.errors import ConfigurationError
from tests.cli.sessions import Plugin
from tests.cli.shelf import Shelf, event, site
from tests.virtual import virtual_time

ROOT = Path(__file__).parents[2]
FAILURE: JSON = {
    "time": "2026-01-01T00:10:00Z",
    "group": "1",
    "leaderUID": "u",
    "revision": "new",
    "restarts": 3,
    "pod": "web-1-1",
    "node": "node-1",
    "container": "vllm",
    "reason": "OOMKilled",
    "exitCode": 137,
    "ranSeconds": 252,
    "message": "CUDA out of memory. Tried to allocate 2.00 GiB",
    "alsoFailed": 1,
}
COMMANDS = [
    "list",
    "list -A",
    "tree web",
    "status web",
    "explain-stuck web",
    "failures web",
    "events web",
    "top web",
    "diff web",
    "diff web 1 2",
    "rollout status web",
    "rollout history web",
    "rollout history web --revision 2",
    "rollout pause web",
    "hand-back --dry-run",
]


def shop() -> Shelf:
    """A set that failed once, with a condition of ours, and what was told of it."""
    told = {"type": "GroupsHealthy", "status": "False", "reason": "NodeLost", "message": "1 of 2 groups: 1 NodeLost"}
    paused = {"type": "Paused", "status": "True", "reason": "RolloutPaused", "message": "what a controller would say"}
    shelf = site(2, 2, status={"failures": [FAILURE], "conditions": [told, paused]})
    words = "Group 1 failed: container vllm of pod web-1-1 on node node-1 exited with 137 (OOMKilled) after 4m12s"
    shelf.objects[CORE_EVENTS] = [
        event("Pod", "web-1-1", "Started", "Container started: vllm", time="2026-01-01T00:05:48Z"),
        event("LeaderWorkerSet", "web", "GroupFailed", words, time=FAILURE["time"], uid="uid-web", type="Warning"),
    ]
    return shelf


@cache
def validator() -> Any:
    """Of the published schema."""
    schema = json.loads((ROOT / "docs" / "kubectl-lws.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_published_schema_is_that_of_the_documents() -> None:
    """A document cannot change without its schema."""
    assert (ROOT / "docs" / "kubectl-lws.schema.json").read_text() == plugin_reference.render()


@pytest.mark.parametrize("line", COMMANDS)
@virtual_time
async def test_json_keeps_to_its_schema_and_yaml_says_the_same(line: str) -> None:
    """What -o json prints is one document of the schema; -o yaml has the same content."""
    printed = json.loads(await Plugin(shop()).run(f"{line} -o json"))
    validator().validate(printed)
    assert list(yaml.safe_load_all(await Plugin(shop()).run(f"{line} -o yaml"))) == [printed]


@pytest.mark.parametrize("line", COMMANDS)
@virtual_time
async def test_names_can_be_given_to_kubectl(line: str) -> None:
    """Each line of -o name is TYPE/NAME."""
    for name in (await Plugin(shop()).run(f"{line} -o name")).split():
        kind, _, own = name.partition("/")
        assert kind in {"leaderworkerset.leaderworkerset.x-k8s.io", "pod", "node", "event", "controllerrevision.apps"}
        assert own


@pytest.mark.parametrize("line", [*COMMANDS, *(f"{line} -o wide" for line in COMMANDS)])
@virtual_time
async def test_sixty_columns_hold_everything(line: str) -> None:
    """Nothing is wider than a terminal of 60 columns, and no word of it is lost."""
    narrow, wide = await Plugin(shop(), columns=60).run(line), await Plugin(shop()).run(line)
    if not line.startswith(("tree", "diff", "rollout history")):
        assert max(len(row) for row in narrow.splitlines()) <= 60
    if not line.startswith(("tree", "status", "rollout history")):
        assert set(wide.split()) <= set(narrow.replace(":", " ").split()) | set(narrow.split())


@virtual_time
async def test_a_list_tells_what_is_wrong_in_a_word() -> None:
    """READY, UP-TO-DATE and the reason of the worst condition; -A adds namespaces, wide sizes and revisions."""
    (header, row) = (await Plugin(shop()).run("list -A -o wide")).splitlines()
    assert header.split() == ["NAMESPACE", "NAME", "READY", "UP-TO-DATE", "AGE", "SIZE", "REVISION", "OWNER", "REASON"]
    cells = row.split()
    assert cells[:4] + cells[5:] == ["default", "web", "2/2", "2", "2", "new", "-", "NodeLost"]


@virtual_time
async def test_failures_name_pod_cause_and_number() -> None:
    """The record of resilience 2, newest first, with its culprit's last words; a group can be chosen."""
    plugin = Plugin(shop())
    row = (await plugin.run("failures web")).splitlines()[1]
    assert row.split()[1:9] == ["1", "web-1-1", "node-1", "OOMKilled", "(exit", "137)", "in", "vllm"]
    assert row.endswith("4m12s   3    CUDA out of memory. Tried to allocate 2.00 GiB")
    assert await plugin.run("failures web --group 0") == "group 0 of web has no recorded failures\n"


@virtual_time
async def test_top_adds_requests_up_by_node() -> None:
    """Requests, sidecars and limits counted as the scheduler does, beside what each node can give."""
    lines = [line.split() for line in (await Plugin(shop()).run("top web")).splitlines()]
    assert lines == [
        ["NODE", "GROUPS", "PODS", "CPU", "GPU"],
        ["node-0", "0", "2", "1/32", "4/8"],
        ["node-1", "1", "2", "1/32", "4/8"],
        ["total", "4", "2", "8"],
    ]


@virtual_time
async def test_diff_shows_what_changed_and_exits_as_diff_does() -> None:
    """Without numbers the previous and the current revision are compared; exit 1 where they differ, 0 where not."""
    plugin = Plugin(site())
    text = await plugin.run("diff web")
    assert plugin.code == 1
    assert "-      - image: app:1" in text
    assert "+      - image: app:2" in text
    assert await plugin.run("diff web 2 2") == "revisions 2 and 2 are equal\n"
    assert plugin.code == 0
    with pytest.raises(ConfigurationError, match="no revision 7; stored are: 1, 2"):
        await plugin.run("diff web 7")


@virtual_time
async def test_one_revision_is_printed_whole() -> None:
    """Rollout history --revision N prints the sections that undo would write."""
    text = await Plugin(site()).run("rollout history web --revision 1")
    assert text.startswith("# revision 1, key old\n")
    assert yaml.safe_load(text)["leaderWorkerTemplate"]["size"] == 2


def test_the_version_has_documents_too(capsys: pytest.CaptureFixture[str]) -> None:
    """Version -o json is a document like any other."""
    assert main.main(["version", "-o", "json"]) == 0
    validator().validate(json.loads(capsys.readouterr().out))
