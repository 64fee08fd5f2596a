"""Draws the pictures of concepts in ``docs/images`` that tell what happens in what order: ``course-*.svg``.

Usage: ``python -m hack.scenes [NAME…]``. Each picture is one or more scenes below each other, played by the sandbox.
The same code gives the same pictures, so one that is no longer true differs from what is in ``docs/images``.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from hack.course_svg import draw
from hack.courses import Act, Scene, Stage, play
from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.policykeys import EVACUATE, PREFIX, RECOVERY_GRACE
from lws.apimachinery.manifests import labels_of
from lws.apimachinery.resources import NODES, PODS
from lws.telemetry.logs import LogSettings, configure_logging
from lws_sandbox import virtual_time as vt

IMAGES: Final = Path(__file__).parent.parent / "docs" / "images"


async def _lose(stage: Stage) -> None:
    await stage.drill("node.fail", name=await stage.node_of("llama-1-1"))


async def _cordon(stage: Stage) -> None:
    node = await stage.node_of("llama-0")
    await stage.client.patch(NODES, "", node, {"spec": {"unschedulable": True}})


async def _hang_the_oldest(stage: Stage) -> None:
    pods = (await stage.client.list(PODS, "default", label_selector=labels.NAME))["items"]
    leaders = [pod["metadata"] for pod in pods if labels_of(pod).get(labels.WORKER_INDEX) == labels.LEADER_INDEX]
    oldest = min(leaders, key=lambda meta: (meta["creationTimestamp"], meta["name"]))
    await stage.drill("pod.hang", name=oldest["name"])


def _fault(drill: str, pod: str, **more: Any) -> Callable[[Stage], Awaitable[Any]]:
    return lambda stage: stage.drill(f"pod.{drill}", name=pod, **more)


def _startup(policy: str) -> Scene:
    title = f"startupPolicy: {policy}"
    return Scene(title, 30, "pods", {"replicas": 1, "startupPolicy": policy}, {"size": 4}, ready=False)


def _restart(policy: str) -> Scene:
    fault = Act(10, "a container of llama-1-1 ends with an error", _fault("crash", "llama-1-1", code=1))
    return Scene(f"restartPolicy: {policy}", 50, "pods", template={"restartPolicy": policy, "size": 3}, acts=(fault,))


def _fewer(identity: str) -> Scene:
    acts = (
        Act(5, "one group hangs", _hang_the_oldest),
        Act(20, "replicas: 2", lambda stage: stage.edit(replicas=2)),
    )
    return Scene(f"groupIdentity: {identity}", 40, spec={"replicas": 3, "groupIdentity": identity}, acts=acts)


def _lost(title: str, **annotations: str) -> Scene:
    chosen = {PREFIX + key.replace("_", "-"): value for key, value in annotations.items()}
    acts = (Act(10, "the node of llama-1-1 falls silent", _lose),)
    return Scene(title, 420, "pods", annotations=chosen, acts=acts)


def _healed(title: str, **annotations: str) -> Scene:
    fault = Act(10, "a container of llama-1-2 ends with an error", _fault("crash", "llama-1-2", code=137))
    return Scene(title, 50, "pods", template={"size": 4}, annotations=annotations, acts=(fault,))


SCENES: Final[Mapping[str, tuple[str, tuple[Scene, ...]]]] = {
    "startup": ("How the pods of a group start", (_startup("LeaderCreated"), _startup("LeaderReady"))),
    "failure": (
        "What becomes of a group when a container fails",
        (_restart("RecreateGroupOnPodRestart"), _restart("None")),
    ),
    "scaling-down": ("Which group goes when a set is scaled down", (_fewer("Ordinal"), _fewer("Hash"))),
    "conditions": (
        "Conditions of a set through creation, a rolling update and a failure",
        (
            Scene(
                "conditions that are True",
                150,
                "conditions",
                acts=(
                    Act(30, "a new image", lambda stage: stage.image("app:2")),
                    Act(80, "a container fails again and again", _fault("crash-loop", "llama-1-1", code=1)),
                ),
                ready=False,
            ),
        ),
    ),
    "back-off": (
        "A group that fails again and again",
        (
            Scene(
                "group 1 fails five seconds after each start, until it is mended",
                240,
                acts=(
                    Act(10, "its container begins to fail", _fault("crash-loop", "llama-1-1", code=1)),
                    Act(170, "it is mended", _fault("heal", "llama-1-1")),
                ),
            ),
        ),
    ),
    "evacuation": (
        "A node is emptied while another group stands in",
        (
            Scene(
                'evacuate: "true"', 60, annotations={EVACUATE: "true"}, acts=(Act(8, "kubectl lws evacuate", _cordon),)
            ),
        ),
    ),
    "healing": (
        "A failed member that is replaced first",
        (_healed("without"), _healed("group-recovery-grace: 5m", **{RECOVERY_GRACE: "5m"})),
    ),
    "lost-node": (
        "A group with a pod on a node that nothing is heard of",
        (_lost("without"), _lost("release-lost-nodes-after: 2m", release_lost_nodes_after="2m")),
    ),
    "pause": (
        "A rolling update that is paused and resumed",
        (
            Scene(
                "four groups, maxUnavailable 1",
                110,
                spec={"replicas": 4},
                acts=(
                    Act(5, "a new image", lambda stage: stage.image("app:2")),
                    Act(25, "kubectl lws rollout pause", lambda stage: stage.annotate(rollout="paused")),
                    Act(65, "kubectl lws rollout resume", lambda stage: stage.annotate(rollout=None)),
                ),
            ),
        ),
    ),
}


def picture(name: str) -> str:
    """The picture of this name, played anew."""
    title, scenes = SCENES[name]
    panels = [(scene.title, vt.run(play(scene)), {act.second: act.words for act in scene.acts}) for scene in scenes]
    return draw(title, panels, conditions=scenes[0].rows == "conditions")


def file(name: str) -> Path:
    """Where the picture of this name is."""
    return IMAGES / f"course-{name}.svg"


if __name__ == "__main__":
    configure_logging(LogSettings(level="error", format="console"), sys.stderr)
    for name in sys.argv[1:] or SCENES:
        file(name).write_text(picture(name))
        print(file(name))
