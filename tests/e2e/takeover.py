"""A cluster that the reference operator, or upstream's manifests, installed the controller in: for the page on that."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import yaml

from lws.api.operand import names
from lws.apimachinery.manifests import JSON
from tests.acceptance.operand import reference
from tests.acceptance.operand.ground import fixture
from tests.e2e.conftest import LIMIT, ROOT
from tests.e2e.sites import Site
from tests.e2e.surroundings import READY

HOME: Final = names.OPERATOR_NAMESPACE
CRD: Final = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
OLM: Final = {"subscriptions": "Subscription", "clusterserviceversions": "ClusterServiceVersion"}


def define_olm(site: Site) -> None:
    """Definitions of what OLM keeps, as far as kubectl needs them to delete it."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1alpha1", "served": True, "storage": True, "schema": schema}
    for plural, kind in OLM.items():
        group = "operators.coreos.com"
        spec: JSON = {"group": group, "scope": "Namespaced", "versions": [version]}
        spec["names"] = {"plural": plural, "kind": kind, "singular": kind.lower()}
        meta = {"name": f"{plural}.{group}"}
        site.cluster.apply({**CRD, "metadata": meta, "spec": spec})
        site.cluster.kubectl("wait", "--for=condition=Established", f"crd/{meta['name']}")


def subscribed(site: Site, version: str) -> None:
    """What OLM keeps of an installed operator."""
    for kind, name in zip(OLM.values(), ("leader-worker-set", f"leader-worker-set.{version}"), strict=True):
        meta = {"name": name, "namespace": HOME}
        site.cluster.apply({"apiVersion": "operators.coreos.com/v1alpha1", "kind": kind, "metadata": meta})


def install(site: Site, namespace: str, owner: JSON | None) -> None:
    """Everything that the reference makes; what kubectl made has no owner."""
    found = []
    for _, manifest in reference.objects(namespace, owner or {}):
        if owner is None:
            manifest["metadata"].pop("ownerReferences")
        found.append(manifest)
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": found})
    manager = f"--field-manager={reference.MANAGER if owner is not None else 'kubectl-client-side-apply'}"
    site.cluster.kubectl("create", "-f", "-", manager, text=listed)


def trusted(site: Site) -> None:
    """Wait until cert-manager has put its authority into every hook."""
    for kind in ("mutating", "validating"):
        hooks = f"{kind}webhookconfiguration/lws-{kind}-webhook-configuration"
        for place in range(len(site.cluster.get(hooks)["webhooks"])):
            bundle = f"{{.webhooks[{place}].clientConfig.caBundle}}"
            site.cluster.kubectl("wait", f"--for=jsonpath={bundle}", hooks, "--timeout=50s")


def define_cert_manager(site: Site) -> None:
    """cert-manager's definitions."""
    for each in fixture("cert-manager"):
        site.cluster.kubectl("create", "-f", "-", text=yaml.safe_dump(each))
        site.cluster.kubectl("wait", "--for=condition=Established", f"crd/{each['metadata']['name']}")


@contextmanager
def surroundings(site: Site) -> Iterator[None]:
    """Do cert-manager's work, and answer for the operand's pods, in another process."""
    command = [sys.executable, "-m", "tests.e2e.surroundings", str(site.cluster.kubeconfig), site.namespace]
    with subprocess.Popen([*command, str(site.port)], stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == READY
            yield
        finally:
            process.terminate()
            process.wait(LIMIT)
