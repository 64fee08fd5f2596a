"""The manifests that ``make run`` applies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lws.apimachinery.manifests import JSON
from lws.client.api import ApiClient
from lws.errors import ApiError, ConfigurationError
from lws.yamltext import load_all
from lws_sandbox.controllers.discovery import by_kind, discover, group_of

EXAMPLE: Final = "01-vllm-two-groups.yaml"
FIELD_MANAGER: Final = "lws-run"


def first_example() -> Path:
    """The first example, in the checkout that this package is installed from or in the working directory.

    Raises:
        ConfigurationError: there is none.
    """
    places = [Path.cwd(), *Path(__file__).resolve().parents]
    found = (place / "examples" / EXAMPLE for place in places)
    example = next((path for path in found if path.is_file()), None)
    if example is None:
        raise ConfigurationError(f"examples/{EXAMPLE} is not found: run this in a checkout, or name a manifest")
    return example


def read_manifests(paths: Sequence[Path]) -> list[JSON]:
    """Every object of these files, in order.

    Raises:
        ConfigurationError: a file cannot be read, or holds something that is no object.
    """
    return [document for path in paths for document in _read(path)]


def _read(path: Path) -> list[JSON]:
    try:
        documents = [document for document in load_all(path.read_text()) if document is not None]
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    for document in documents:
        whole = isinstance(document, dict) and isinstance(document.get("metadata"), dict)
        if not whole or not all(isinstance(document.get(member), str) for member in ("apiVersion", "kind")):
            raise ConfigurationError(f"{path}: an object needs apiVersion, kind and metadata")
    return documents


async def apply(client: ApiClient, documents: Sequence[JSON]) -> None:
    """Apply manifests, each through the resource that its kind is served by.

    Raises:
        ConfigurationError: a kind is not served, or the server refuses; the message names the object.
    """
    kinds = by_kind(await discover(client))
    for document in documents:
        key = (group_of(document["apiVersion"]), document["kind"])
        if key not in kinds:
            kinds = by_kind(await discover(client))
        resource = kinds.get(key)
        name = (document.get("metadata") or {}).get("name", "")
        if resource is None:
            raise ConfigurationError(f"{document['kind']} {name}: the cluster serves no such kind")
        metadata = document["metadata"]
        if resource.namespaced and not metadata.get("namespace"):
            document = {**document, "metadata": {**metadata, "namespace": "default"}}
        try:
            await client.apply(resource, document, field_manager=FIELD_MANAGER)
        except ApiError as error:
            raise ConfigurationError(f"{document['kind']} {name}: {error}") from error
