"""Renders the part of kustomize that `config/` uses, so that generating needs no tool.

What it knows: ``resources``, ``components``, ``namespace``, ``namePrefix``, ``labels``, ``images``,
``configMapGenerator`` without a name suffix, ``patches`` by strategic merge or JSON patch, and ``replacements`` of
whole members. Anything else in a kustomization is an error. A test compares the result with what kustomize itself
renders.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from lws.apimachinery.manifests import JSON

Key = tuple[str, str]  # kind and name

_KNOWN: Final = frozenset(
    "apiVersion kind resources components namespace namePrefix labels images configMapGenerator generatorOptions"
    " patches replacements".split()
)
_CLUSTER: Final = frozenset(
    "Namespace ClusterRole ClusterRoleBinding CustomResourceDefinition MutatingWebhookConfiguration"
    " ValidatingWebhookConfiguration ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding".split()
)
_UNPREFIXED: Final = frozenset({"Namespace", "CustomResourceDefinition"})
_MERGE_KEYS: Final = {
    "containers": "name",
    "volumes": "name",
    "env": "name",
    "volumeMounts": "mountPath",
    "webhooks": "name",
}


class UnknownError(ValueError):
    """The kustomization asks for something that this renderer does not know."""


def render(folder: Path) -> list[JSON]:
    """The objects of a kustomization, in the order in which its files name them.

    Raises:
        UnknownError: it needs more of kustomize than is known here.
    """
    return list(_Folder(folder).objects({}).values())


class _Folder:
    """One kustomization."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._text: JSON = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
        if unknown := self._text.keys() - _KNOWN:
            raise UnknownError(
                f"{folder}/kustomization.yaml: {', '.join(sorted(unknown))}: not known to hack/kustomization"
            )

    def objects(self, found: dict[Key, JSON]) -> dict[Key, JSON]:
        """The objects given, with what this kustomization adds to them and makes of them."""
        text = self._text
        for name in text.get("resources") or ():
            path = self._folder / name
            found |= _Folder(path).objects({}) if path.is_dir() else {_key(each): each for each in _documents(path)}
        for generator in text.get("configMapGenerator") or ():
            made = self._config_map(generator)
            found[_key(made)] = made
        for name in text.get("components") or ():
            found = _Folder(self._folder / name).objects(found)
        for patch in text.get("patches") or ():
            self._patch(found, patch)
        objects = [*found.values()]
        if prefix := text.get("namePrefix"):
            _prefix(objects, prefix)
        if namespace := text.get("namespace"):
            _move(objects, namespace)
        for labels in text.get("labels") or ():
            for each in objects:
                _label(each, labels)
        for image in text.get("images") or ():
            _image(objects, image)
        for replacement in text.get("replacements") or ():
            _replace(objects, replacement)
        return {_key(each): each for each in objects}

    def _config_map(self, generator: JSON) -> JSON:
        options = {**(self._text.get("generatorOptions") or {}), **(generator.get("options") or {})}
        if not options.get("disableNameSuffixHash"):
            raise UnknownError(f"{self._folder}: configMapGenerator {generator['name']} has a name suffix")
        data = {}
        for source in generator.get("files") or ():
            key, _, name = source.rpartition("=")
            data[key or name] = (self._folder / name).read_text(encoding="utf-8")
        meta: JSON = {"name": generator["name"]}
        meta |= {key: generator[key] for key in ("namespace",) if key in generator}
        meta |= {"labels": options["labels"]} if options.get("labels") else {}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}

    def _patch(self, found: dict[Key, JSON], patch: JSON) -> None:
        text = (patch.get("patch") or "").strip() or (self._folder / patch["path"]).read_text(encoding="utf-8")
        for change in yaml.safe_load_all(text):
            if isinstance(change, list):
                key = (patch["target"]["kind"], patch["target"]["name"])
                if key in found:  # a target that is not there is no error, as in kustomize
                    found[key] = _json_patched(found[key], change)
                continue
            key = _key(change)
            if change.pop("$patch", None) == "delete":
                found.pop(key)
            else:
                found[key] = _merged(found[key], change)


def _documents(path: Path) -> Iterator[JSON]:
    yield from (each for each in yaml.load_all(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader) if each)


def _key(manifest: JSON) -> Key:
    return manifest["kind"], manifest["metadata"]["name"]


def _merged(base: Any, change: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(change, dict):
        return copy.deepcopy(change)
    out = dict(base)
    for key, value in change.items():
        if value is None:
            out.pop(key, None)
        elif isinstance(value, list) and key in _MERGE_KEYS and key in out:
            out[key] = _merged_list(out[key], value, _MERGE_KEYS[key])
        else:
            out[key] = _merged(out.get(key), value)
    return out


def _merged_list(base: list[JSON], change: list[JSON], name: str) -> list[JSON]:
    """Entries are merged by their key; new ones come first, as kustomize has it."""
    out, new = [*base], []
    for each in change:
        at = next((i for i, known in enumerate(out) if known.get(name) == each.get(name)), None)
        if at is None:
            new.append(copy.deepcopy(each))
        else:
            out[at] = _merged(out[at], each)
    return new + out


def _json_patched(base: JSON, change: list[JSON]) -> JSON:
    out = copy.deepcopy(base)
    for operation in change:
        *path, last = operation["path"].strip("/").split("/")
        place: Any = out
        for part in path:
            place = place[int(part)] if isinstance(place, list) else place[part.replace("~1", "/")]
        if operation["op"] not in ("add", "replace"):
            raise UnknownError(f"JSON patch operation {operation['op']} is not known to hack/kustomization")
        if isinstance(place, list) and operation["op"] == "replace":
            place[int(last)] = operation["value"]
        elif isinstance(place, list):
            place.insert(len(place) if last == "-" else int(last), operation["value"])
        else:
            place[last.replace("~1", "/")] = operation["value"]
    return out


def _prefix(objects: list[JSON], prefix: str) -> None:
    """Put the prefix before the names of objects, and follow every reference to one of them."""
    renamed = {_key(each): prefix + each["metadata"]["name"] for each in objects if each["kind"] not in _UNPREFIXED}
    for each in objects:
        each["metadata"]["name"] = renamed.get(_key(each), each["metadata"]["name"])
    for each in objects:
        for reference, kind in _references(each):
            reference["name"] = renamed.get((kind, reference["name"]), reference["name"])
        for spec in _pod_specs(each):
            account = spec.get("serviceAccountName")
            if account:
                spec["serviceAccountName"] = renamed.get(("ServiceAccount", account), account)
            for volume in spec.get("volumes") or ():
                if secret := volume.get("secret"):
                    secret["secretName"] = renamed.get(("Secret", secret["secretName"]), secret["secretName"])


def _references(manifest: JSON) -> Iterator[tuple[JSON, str]]:
    if role := manifest.get("roleRef"):
        yield role, role["kind"]
    for subject in manifest.get("subjects") or ():
        yield subject, subject["kind"]
    for hook in manifest.get("webhooks") or ():
        if service := hook["clientConfig"].get("service"):
            yield service, "Service"
    for spec in _pod_specs(manifest):
        for volume in spec.get("volumes") or ():
            if config_map := volume.get("configMap"):
                yield config_map, "ConfigMap"


def _pod_specs(manifest: JSON) -> Iterator[JSON]:
    if manifest["kind"] == "Deployment":
        yield manifest["spec"]["template"]["spec"]


def _move(objects: list[JSON], namespace: str) -> None:
    accounts = {each["metadata"]["name"] for each in objects if each["kind"] == "ServiceAccount"}
    for each in objects:
        if each["kind"] == "Namespace":
            each["metadata"]["name"] = namespace
        elif each["kind"] not in _CLUSTER:
            each["metadata"]["namespace"] = namespace
        for subject in each.get("subjects") or ():
            if subject["name"] in accounts:
                subject["namespace"] = namespace
        for hook in each.get("webhooks") or ():
            if service := hook["clientConfig"].get("service"):
                service["namespace"] = namespace


def _label(manifest: JSON, labels: JSON) -> None:
    pairs = labels["pairs"]
    meta = manifest["metadata"]
    meta["labels"] = {**(meta.get("labels") or {}), **pairs}
    if not labels.get("includeSelectors"):
        return
    spec = manifest.get("spec") or {}
    if manifest["kind"] == "Service":
        spec["selector"] = {**spec["selector"], **pairs}
    elif manifest["kind"] in ("Deployment", "PodDisruptionBudget"):
        chosen = spec["selector"]
        chosen["matchLabels"] = {**(chosen.get("matchLabels") or {}), **pairs}
    if manifest["kind"] == "Deployment":
        template = spec["template"]["metadata"]
        template["labels"] = {**(template.get("labels") or {}), **pairs}
        for constraint in spec["template"]["spec"].get("topologySpreadConstraints") or ():
            chosen = constraint["labelSelector"]
            chosen["matchLabels"] = {**(chosen.get("matchLabels") or {}), **pairs}


def _image(objects: list[JSON], image: JSON) -> None:
    for each in objects:
        for spec in _pod_specs(each):
            for container in spec["containers"]:
                if container["image"].rpartition(":")[0] == image["name"]:
                    container["image"] = f"{image['newName']}:{image['newTag']}"


def _replace(objects: list[JSON], replacement: JSON) -> None:
    source = replacement["source"]
    place, last = _place(_one(objects, source), source["fieldPath"])
    for target in replacement["targets"]:
        for path in target["fieldPaths"]:
            other, member = _place(_one(objects, target["select"]), path)
            other[member] = copy.deepcopy(place[last])


def _one(objects: list[JSON], chosen: JSON) -> JSON:
    return next(each for each in objects if _key(each) == (chosen["kind"], chosen["name"]))


def _place(manifest: JSON, path: str) -> tuple[JSON, str]:
    """Whose member a path names, and which; an entry of a list is chosen by one of its members, as in ``[name=x]``."""
    *steps, last = path.split(".")
    place: Any = manifest
    for step in steps:
        name, chosen, value = step.strip("[]").partition("=")
        place = next(each for each in place if each[name] == value) if chosen else place[name]
    return place, last
