"""Facts about the internal Go types of a pod's spec, in which a real server shows differences between pods.

``python -m sandbox.hack.gointernal API`` reads a checkout of ``k8s.io/api`` and writes the members of each struct
below PodSpec in the order of the internal type: name in Go, name in JSON, what stands for it if absent, and the
struct inside.
The internal types have the members of the published ones in the same order, but for the structs of `ORDER`.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

OUTPUT = Path(__file__).parent.parent / "src" / "lws_sandbox" / "kinds" / "data" / "pod_internal.json"
ROOT = "PodSpec"
_STRUCT = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"^type (\w+) ([\w.]+)$", re.MULTILINE)
_FIELD = re.compile(r'^\t(?:(\w+)\s+)?(\S+)\s+`(?:[^`]* )?json:"([^"]*)"', re.MULTILINE)
_ZEROS = {"string": '""', "bool": "false", "int32": "0", "int64": "0"}
# Internal order, where it is not that of the published type; members of the pod that internally belong elsewhere.
ORDER = {
    "PodSpec": (
        "volumes initContainers containers ephemeralContainers restartPolicy terminationGracePeriodSeconds "
        "activeDeadlineSeconds dnsPolicy nodeSelector serviceAccountName automountServiceAccountToken nodeName "
        "securityContext imagePullSecrets hostname subdomain setHostnameAsFQDN affinity schedulerName tolerations "
        "hostAliases priorityClassName priority preemptionPolicy dnsConfig readinessGates runtimeClassName overhead "
        "enableServiceLinks topologySpreadConstraints os schedulingGates resourceClaims resources hostnameOverride "
        "schedulingGroup"
    ).split(),
    "PodSecurityContext": (
        "hostNetwork hostPID hostIPC shareProcessNamespace hostUsers seLinuxOptions windowsOptions runAsUser "
        "runAsGroup runAsNonRoot supplementalGroups supplementalGroupsPolicy fsGroup sysctls "
        "fsGroupChangePolicy seccompProfile appArmorProfile seLinuxChangePolicy"
    ).split(),
}
MOVED = ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers")


class Types:
    """The structs of ``core/v1``."""

    def __init__(self, text: str) -> None:
        text = re.sub(r"^\s*//.*\n", "", text, flags=re.MULTILINE)
        self.structs = {match[1]: match[2] for match in _STRUCT.finditer(text)}
        self.named = {match[1]: match[2] for match in _NAMED.finditer(text)}

    def members(self, struct: str) -> list[list[str]]:
        """Go name, JSON name, absent value, and the struct inside, of each member."""
        found: list[list[str]] = []
        for match in _FIELD.finditer(self.structs[struct]):
            go_name, go_type, tag = match[1] or "", match[2], match[3].split(",")[0]
            if not tag:
                found += self.members(go_type.lstrip("*"))
            else:
                found.append([go_name, tag, *self._value(go_type)])
        return found

    def _value(self, go_type: str) -> tuple[str, str]:
        bare = go_type.removeprefix("*").removeprefix("[]")
        inside = bare if bare in self.structs else ""
        if go_type.startswith(("*", "[]", "map[")) or go_type == "ResourceList":
            return "null", inside
        base = self.named.get(go_type, go_type)
        if base in _ZEROS:
            return _ZEROS[base], ""
        if inside:
            return "{}", inside
        return ('"0"', "") if go_type == "resource.Quantity" else ("0", "") if "IntOrString" in go_type else ('""', "")


def collect(text: str) -> dict[str, list[list[str]]]:
    """Every struct below PodSpec."""
    types = Types(text)
    found: dict[str, list[list[str]]] = {}
    waiting = [ROOT]
    while waiting:
        struct = waiting.pop()
        if struct in found:
            continue
        members = types.members(struct)
        if struct == "PodSecurityContext":
            members += [member for member in types.members(ROOT) if member[1] in MOVED]
        if struct in ORDER:
            by_name = {member[1]: member for member in members}
            members = [by_name[name] for name in ORDER[struct]]
        found[struct] = members
        waiting += [member[3] for member in members if member[3]]
    return dict(sorted(found.items()))


def main(arguments: list[str]) -> None:
    """Write the facts."""
    text = (Path(arguments[0]) / "core" / "v1" / "types.go").read_text(encoding="utf-8")
    rows = ",\n".join(
        f"{json.dumps(name)}:{json.dumps(members, separators=(',', ':'))}" for name, members in collect(text).items()
    )
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text("{\n" + rows + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
