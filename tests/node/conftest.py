"""One real node for all tests of this folder, with the controller installed as a user does it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from lws_sandbox.real.binaries import find
from tests.node import processes
from tests.node.images import CONTROLLER, TOOLS, Image, tools
from tests.node.machine import FOLDER, IMAGES, Machine, machine
from tests.node.world import DEPLOYMENT, ROOT, SYSTEM, TOKEN_SECONDS, World

# The default, with the image's name, and with a token whose renewal a test can wait for.
OVERLAY = """\
resources: [config/default]
images: [{{name: image-not-set.invalid/lws-controller, newName: localhost/lws-controller, newTag: "1"}}]
patches:
- target: {{kind: Deployment}}
  patch: |
    - op: add
      path: /spec/template/spec/volumes/-
      value:
        name: token
        projected:
          sources:
          - serviceAccountToken: {{path: token, expirationSeconds: {seconds:.0f}}}
          - configMap: {{name: kube-root-ca.crt, items: [{{key: ca.crt, path: ca.crt}}]}}
          - downwardAPI: {{items: [{{path: namespace, fieldRef: {{fieldPath: metadata.namespace}}}}]}}
    - op: add
      path: /spec/template/spec/containers/0/volumeMounts/-
      value: {{name: token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}}
"""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def node() -> AsyncIterator[Machine]:
    """A control plane and a node; without namespaces of its own nothing is started."""
    if not os.environ.get(FOLDER):
        pytest.skip("a real node needs namespaces of its own: `make test-node` makes them")
    folder = Path(os.environ[FOLDER])
    async with machine(find(), folder) as running:
        await running.import_image(tools(folder, TOOLS, ("/bin/sh", "-c")))
        environment = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
        environment["SSL_CERT_FILE"] = "/etc/ssl/certs/ca-certificates.crt"
        image = Image(CONTROLLER, folder / IMAGES, ("/manager",), environment=environment)
        await running.import_image(image)
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def world(node: Machine) -> World:
    """The controller runs with two replicas of the image."""
    overlay = node.folder / "overlay"
    overlay.mkdir()
    (overlay / "config").symlink_to(ROOT / "config")
    (overlay / "kustomization.yaml").write_text(OVERLAY.format(seconds=TOKEN_SECONDS))
    await node.kubectl("apply", "--server-side", "-k", str(overlay))
    code, said, _ = await node.try_kubectl("rollout", "status", "-n", SYSTEM, DEPLOYMENT, "--timeout=180s")
    if code:
        states = await node.kubectl("get", "pods", "-n", SYSTEM, "-o", "jsonpath={.items[*].status.containerStatuses}")
        raise AssertionError(f"{said}{states}\n{processes.last_words(SYSTEM)}")
    return World(node)
