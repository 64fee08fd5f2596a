"""The admission plugin PodSecurity: what a namespace's level says of a pod (pod-security-admission, `policy`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import NAMESPACES, Resource
from lws_sandbox.status import forbidden, of
from lws_sandbox.strategy import WriteContext

Check = Callable[[JSON], str]

_LABEL: Final = "pod-security.kubernetes.io/"
_ADDABLE: Final = frozenset(
    {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    }
)
_VOLUMES: Final = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)


def evaluate(metadata: JSON, spec: JSON, context: WriteContext, resource: Resource, *, enforced: bool) -> list[str]:
    """Warnings for a pod or a template.

    Args:
        metadata: with the name and the namespace.
        spec: of the pod.
        context: of the write.
        resource: what is written.
        enforced: refuse what breaks the enforced level; templates are only warned of.

    Raises:
        StatusError: 403, the enforced level refuses the pod.
    """
    namespace = context.peek(str(NAMESPACES), "", metadata.get("namespace") or "")
    labels = ((namespace or {}).get("metadata") or {}).get("labels") or {}
    if not any(key.startswith(_LABEL) for key in labels):
        return []
    if enforced:
        broken = _broken(labels, "enforce", spec)
        if broken:
            raise forbidden(of(resource), metadata.get("name") or "", f"violates PodSecurity {broken}")
    broken = _broken(labels, "warn", spec)
    return [f"would violate PodSecurity {broken}"] if broken else []


def _broken(labels: JSON, mode: str, spec: JSON) -> str:
    level = labels.get(_LABEL + mode, "privileged")
    checks = {"baseline": BASELINE, "restricted": RESTRICTED}.get(level, ())
    found = [text for text in (check(spec) for check in checks) if text]
    version = labels.get(f"{_LABEL}{mode}-version", "latest")
    return f'"{level}:{version}": {", ".join(found)}' if found else ""


def _containers(spec: JSON) -> list[JSON]:
    return [
        container
        for member in ("initContainers", "containers", "ephemeralContainers")
        for container in spec.get(member) or ()
    ]


def _context(container: JSON) -> JSON:
    return container.get("securityContext") or {}


def _named(what: str, names: Iterable[str]) -> str:
    quoted = [f'"{name}"' for name in names]
    return f"{what} {quoted[0]}" if len(quoted) == 1 else f"{what}s {', '.join(quoted)}"


def _bad(spec: JSON, test: Callable[[JSON], bool]) -> list[str]:
    return [container["name"] for container in _containers(spec) if test(container)]


def _escalation(spec: JSON) -> str:
    bad = _bad(spec, lambda container: _context(container).get("allowPrivilegeEscalation") is not False)
    must = "must set securityContext.allowPrivilegeEscalation=false"
    return f"allowPrivilegeEscalation != false ({_named('container', bad)} {must})" if bad else ""


def _added(container: JSON) -> set[str]:
    return set((_context(container).get("capabilities") or {}).get("add") or ())


def _capabilities_baseline(spec: JSON) -> str:
    bad = _bad(spec, lambda container: bool(_added(container) - _ADDABLE))
    if not bad:
        return ""
    extra = sorted({name for container in _containers(spec) for name in _added(container) - _ADDABLE})
    listed = ", ".join(f'"{name}"' for name in extra)
    must = f"must not include {listed} in securityContext.capabilities.add"
    return f"non-default capabilities ({_named('container', bad)} {must})"


def _capabilities_restricted(spec: JSON) -> str:
    def drops(container: JSON) -> bool:
        return "ALL" in ((_context(container).get("capabilities") or {}).get("drop") or ())

    texts = []
    bad = _bad(spec, lambda container: not drops(container))
    if bad:
        texts.append(f'{_named("container", bad)} must set securityContext.capabilities.drop=["ALL"]')
    allowed = {"NET_BIND_SERVICE"}
    bad = _bad(spec, lambda container: bool(_added(container) - allowed))
    if bad:
        extra = sorted({name for container in _containers(spec) for name in _added(container) - allowed})
        listed = ", ".join(f'"{name}"' for name in extra)
        texts.append(f"{_named('container', bad)} must not include {listed} in securityContext.capabilities.add")
    return f"unrestricted capabilities ({'; '.join(texts)})" if texts else ""


def _host_namespaces(spec: JSON) -> str:
    used = [f"{member}=true" for member in ("hostNetwork", "hostPID", "hostIPC") if spec.get(member)]
    return f"host namespaces ({', '.join(used)})" if used else ""


def _host_paths(spec: JSON) -> str:
    bad = [volume["name"] for volume in spec.get("volumes") or () if volume.get("hostPath") is not None]
    return f"hostPath volumes ({_named('volume', bad)})" if bad else ""


def _host_ports(spec: JSON) -> str:
    ports: list[str] = []

    def uses(container: JSON) -> bool:
        found = [str(port["hostPort"]) for port in container.get("ports") or () if port.get("hostPort")]
        ports.extend(found)
        return bool(found)

    bad = _bad(spec, uses)
    if not bad:
        return ""
    distinct = sorted(set(ports), key=int)
    verb = "uses" if len(bad) == 1 else "use"
    word = "hostPort" if len(distinct) == 1 else "hostPorts"
    return f"hostPort ({_named('container', bad)} {verb} {word} {', '.join(distinct)})"


def _privileged(spec: JSON) -> str:
    bad = _bad(spec, lambda container: bool(_context(container).get("privileged")))
    must = "must not set securityContext.privileged=true"
    return f"privileged ({_named('container', bad)} {must})" if bad else ""


def _proc_mount(spec: JSON) -> str:
    bad = _bad(spec, lambda container: _context(container).get("procMount") not in (None, "Default"))
    if not bad:
        return ""
    must = 'must not set securityContext.procMount to "Unmasked"'
    return f"procMount ({_named('container', bad)} {must})"


def _volume_types(spec: JSON) -> str:
    bad: list[str] = []
    kinds: set[str] = set()
    for volume in spec.get("volumes") or ():
        used = {member for member, value in volume.items() if member != "name" and value is not None} - _VOLUMES
        if used:
            bad.append(volume["name"])
            kinds |= used
    if not bad:
        return ""
    listed = ", ".join(f'"{kind}"' for kind in sorted(kinds))
    verb, word = ("uses", "type") if len(bad) == 1 else ("use", "types")
    return f"restricted volume types ({_named('volume', bad)} {verb} restricted volume {word} {listed})"


def _non_root(spec: JSON) -> str:
    pod = (spec.get("securityContext") or {}).get("runAsNonRoot")
    texts = ["pod must not set securityContext.runAsNonRoot=false"] if pod is False else []
    bad = _bad(spec, lambda container: _context(container).get("runAsNonRoot") is False)
    if bad:
        texts.append(f"{_named('container', bad)} must not set securityContext.runAsNonRoot=false")
    unset = _bad(spec, lambda container: _context(container).get("runAsNonRoot") is None)
    if unset and pod is None:
        texts = texts or [f"pod or {_named('container', unset)} must set securityContext.runAsNonRoot=true"]
    return f"runAsNonRoot != true ({', '.join(texts)})" if texts else ""


def _root_user(spec: JSON) -> str:
    texts = ["pod"] if (spec.get("securityContext") or {}).get("runAsUser") == 0 else []
    bad = _bad(spec, lambda container: _context(container).get("runAsUser") == 0)
    if bad:
        texts.append(_named("container", bad))
    return f"runAsUser=0 ({' and '.join(texts)} must not set runAsUser=0)" if texts else ""


def _seccomp_type(context: JSON) -> str | None:
    profile: str | None = (context.get("seccompProfile") or {}).get("type")
    return profile


def _seccomp_baseline(spec: JSON) -> str:
    texts = ["pod"] if _seccomp_type(spec.get("securityContext") or {}) == "Unconfined" else []
    bad = _bad(spec, lambda container: _seccomp_type(_context(container)) == "Unconfined")
    if bad:
        texts.append(_named("container", bad))
    must = 'must not set securityContext.seccompProfile.type to "Unconfined"'
    return f"seccompProfile ({' and '.join(texts)} {must})" if texts else ""


def _seccomp_restricted(spec: JSON) -> str:
    broken = _seccomp_baseline(spec)
    if broken:
        return broken
    pod = _seccomp_type(spec.get("securityContext") or {})
    unset = _bad(spec, lambda container: _seccomp_type(_context(container)) is None)
    if pod is not None or not unset:
        return ""
    must = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return f"seccompProfile (pod or {_named('container', unset)} {must})"


BASELINE: Final[tuple[Check, ...]] = (
    _capabilities_baseline,
    _host_namespaces,
    _host_paths,
    _host_ports,
    _privileged,
    _proc_mount,
    _seccomp_baseline,
)
RESTRICTED: Final[tuple[Check, ...]] = (
    _escalation,
    _capabilities_restricted,
    _host_namespaces,
    _host_paths,
    _host_ports,
    _privileged,
    _proc_mount,
    _volume_types,
    _non_root,
    _root_user,
    _seccomp_restricted,
)
