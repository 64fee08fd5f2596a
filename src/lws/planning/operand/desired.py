"""The objects that an installation consists of (operator 5.6).

Guarantees: equal arguments give equal objects; an object of `config/` that nothing here knows of is passed on with the
namespace, labels and owner that all of them get, so what is added to `config/` needs no change here. Substitution is by
structure, never by text.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from lws.api.operand import names
from lws.api.operand.names import API_VERSION, KIND, SINGLETON
from lws.api.operand.types import INTERNAL, LeaderWorkerSetOperatorSpec
from lws.apimachinery.manifests import JSON, annotations_of, labels_of, name_of, with_annotations
from lws.apimachinery.resources import CONFIGMAPS, CUSTOMRESOURCEDEFINITIONS, Resource
from lws.planning.operand import certificates, components, configuration, deployment, monitoring, sizing
from lws.planning.operand.assets import Asset
from lws.planning.operand.facts import Facts
from lws.yamltext import load

HASH_DIGITS: Final = 10  # of a configuration's digest, in the name of its ConfigMap


@dataclass(frozen=True, slots=True)
class Wanted:
    """One object as it is to be."""

    resource: Resource
    manifest: JSON

    @property
    def key(self) -> tuple[str, str]:
        """Kind and name; all namespaced ones are in one namespace."""
        return self.resource.kind, name_of(self.manifest)


@dataclass(frozen=True, slots=True)
class Desired:
    """A whole installation.

    Attributes:
        objects: in the order in which they are applied.
        config: the operand's configuration file, and the name of the ConfigMap that its pods mount.
        invalid: what is wrong with the spec beyond any single object; empty if nothing is.
    """

    objects: tuple[Wanted, ...]
    config: JSON
    config_map: str
    invalid: str = ""

    def get(self, kind: str, name: str) -> JSON | None:
        """One object, if it is part of the installation."""
        return next((each.manifest for each in self.objects if each.key == (kind, name)), None)


def desired(spec: LeaderWorkerSetOperatorSpec, facts: Facts, assets: Sequence[Asset]) -> Desired:
    """What the spec asks for, given the facts."""
    active = components.active(spec, facts, assets)
    chosen = [
        each
        for each in components.chosen(assets, active)
        if not monitoring.left_out(each.resource.kind, spec, facts) and not certificates.left_out(each.key, spec)
    ]
    content = configuration.configuration(_base(assets, active), spec, facts)
    text = configuration.rendered(content)
    digest = configuration.digest(text)
    copy = f"{names.CONFIG_MAP}-{digest[:HASH_DIGITS]}"
    shaper = _Shaper(spec, facts, copy, digest, text)
    objects = [Wanted(asset.resource, shaper.shaped(asset)) for asset in chosen]
    objects += [Wanted(CONFIGMAPS, shaper.config_map_copy())]
    objects += [Wanted(resource, shaper.owned(each)) for resource, each in certificates.authority(spec, facts)]
    ordered = sorted(objects, key=lambda each: stage(each.key))
    return Desired(tuple(ordered), content, copy, components.unknown(spec, assets))


def stage(key: tuple[str, str]) -> int:
    """The place of an object in the order of applying (operator 3.1, 5.7).

    Definitions come first and the Deployment last; after it comes only the ConfigMap that tells readers what its pods
    run with.
    """
    return _LAST if key == (CONFIGMAPS.kind, names.CONFIG_MAP) else _STAGES.get(key[0], _OTHERS)


_STAGES: Final = {
    "CustomResourceDefinition": 0,
    "ServiceAccount": 1,
    "ClusterRole": 1,
    "Role": 1,
    "ClusterRoleBinding": 2,
    "RoleBinding": 2,
    "Service": 3,
    "ConfigMap": 3,
    "Issuer": 4,
    "Certificate": 5,
    "MutatingWebhookConfiguration": 6,
    "ValidatingWebhookConfiguration": 6,
    "Deployment": 8,
}
_OTHERS: Final = 7
_LAST: Final = 9


def _base(assets: Sequence[Asset], active: Collection[str]) -> JSON:
    """The configuration file that `config/` has with these components."""
    forms = [each for each in assets if each.key == (CONFIGMAPS.kind, names.CONFIG_MAP)]
    contents = {each.component: load(each.manifest["data"][names.CONFIG_KEY]) for each in forms}
    changed = [content for component, content in contents.items() if component in active]
    content: JSON = dict(components.combined(contents[""], changed))
    content.pop("gangSchedulingManagement", None)  # from the spec alone
    return content


class _Shaper:
    """Fits the objects of `config/` to one installation."""

    def __init__(self, spec: LeaderWorkerSetOperatorSpec, facts: Facts, copy: str, digest: str, text: str) -> None:
        self._spec = spec
        self._facts = facts
        self._copy = copy
        self._digest = digest
        self._text = text
        self._by_kind: dict[str, Callable[[JSON], JSON]] = {
            "Deployment": self._deployment,
            "ConfigMap": self._config_map,
            "RoleBinding": self._binding,
            "ClusterRoleBinding": self._binding,
            "MutatingWebhookConfiguration": self._webhooks,
            "ValidatingWebhookConfiguration": self._webhooks,
            "CustomResourceDefinition": self._definition,
            "Certificate": functools.partial(certificates.certificate, spec=spec, facts=facts),
            "ServiceMonitor": self._service_monitor,
            "NetworkPolicy": self._network_policy,
        }

    def shaped(self, asset: Asset) -> JSON:
        """One object, with all that is special about it."""
        shape = self._by_kind.get(asset.resource.kind)
        manifest = shape(asset.manifest) if shape is not None else asset.manifest
        return self.owned(manifest, namespaced=asset.resource.namespaced)

    def owned(self, manifest: JSON, *, namespaced: bool = True) -> JSON:
        """An object with the namespace, labels and owner that all of them get; definitions have no owner [OD-01]."""
        metadata = {key: value for key, value in manifest["metadata"].items() if key != "namespace"}
        metadata |= {"namespace": self._facts.namespace} if namespaced else {}
        metadata["labels"] = {**labels_of(manifest), **names.LABELS, names.MANAGED_BY: names.MANAGED_BY_VALUE}
        if manifest["kind"] != CUSTOMRESOURCEDEFINITIONS.kind:
            metadata["ownerReferences"] = [owner(self._facts.owner_uid)]
        return {**manifest, "metadata": metadata}

    def config_map_copy(self) -> JSON:
        """The configuration that pods mount, under a name that no other content has."""
        manifest = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": self._copy},
            "data": {names.CONFIG_KEY: self._text},
            "immutable": True,
        }
        return self.owned(manifest)

    def _deployment(self, manifest: JSON) -> JSON:
        if name_of(manifest) != names.DEPLOYMENT:
            return manifest
        spec = deployment.shaped(manifest["spec"], self._spec, self._facts, config_map=self._copy, digest=self._digest)
        if self._facts.tier_floor:
            manifest = with_annotations(manifest, {sizing.FLOOR: str(self._facts.tier_floor)})
        return {**manifest, "spec": spec}

    def _config_map(self, manifest: JSON) -> JSON:
        if name_of(manifest) != names.CONFIG_MAP:
            return manifest
        return {**manifest, "data": {**manifest["data"], names.CONFIG_KEY: self._text}}

    def _binding(self, manifest: JSON) -> JSON:
        """Subjects: the operand's account where the operand is; scrapers where others are."""
        subjects = [
            {**subject, "namespace": self._facts.namespace}
            for subject in manifest["subjects"]
            if subject["name"] == names.SERVICE_ACCOUNT
        ]
        others = len(subjects) < len(manifest["subjects"])
        subjects += monitoring.subjects(monitoring.scrapers(self._spec, self._facts)) if others else []
        return {**manifest, "subjects": subjects}

    def _webhooks(self, manifest: JSON) -> JSON:
        """The hooks' Service where the operand is; cert-manager's annotation names its certificate."""
        if names.INJECT_CA in annotations_of(manifest):
            inject = f"{self._facts.namespace}/{names.SERVING_CERTIFICATE}"
            manifest = with_annotations(manifest, {names.INJECT_CA: inject})
            if INTERNAL in self._facts.in_use:  # cert-manager would put its own bundle over one that is needed
                manifest = {**manifest, "metadata": {**manifest["metadata"], "annotations": {}}}
        return {**manifest, "webhooks": [self._hook(each) for each in manifest["webhooks"]]}

    def _hook(self, hook: JSON) -> JSON:
        service = {**hook["clientConfig"]["service"], "namespace": self._facts.namespace}
        return {**hook, "clientConfig": {**hook["clientConfig"], "service": service}}

    def _definition(self, manifest: JSON) -> JSON:
        return with_annotations(manifest, {names.KEEP: "keep"})

    def _service_monitor(self, manifest: JSON) -> JSON:
        spec = manifest["spec"]
        if name_of(manifest) == monitoring.OPERATOR_MONITOR:
            endpoints = [monitoring.operator_endpoint(each, self._facts) for each in spec["endpoints"]]
            return {**manifest, "spec": {**spec, "endpoints": endpoints}}
        endpoints = [monitoring.endpoint(each, self._facts) for each in spec["endpoints"]]
        selector = {"matchLabels": names.POD_LABELS}
        return {**manifest, "spec": {**spec, "endpoints": endpoints, "selector": selector}}

    def _network_policy(self, manifest: JSON) -> JSON:
        spec = manifest["spec"]
        rules = [monitoring.ingress(each, self._spec, self._facts) for each in spec["ingress"]]
        return {**manifest, "spec": {**spec, "ingress": rules, "podSelector": {"matchLabels": names.POD_LABELS}}}


def owner(uid: str) -> JSON:
    """The owner reference that everything but definitions gets; neither controller nor blocking (operator 3.3)."""
    return {"apiVersion": API_VERSION, "kind": KIND, "name": SINGLETON, "uid": uid}
