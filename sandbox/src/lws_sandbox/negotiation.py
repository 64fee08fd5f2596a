"""Which form an answer takes: JSON or YAML, the object itself, its metadata, or a Table (the Accept header)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
import yaml

from lws.apimachinery.manifests import JSON
from lws_sandbox.status import StatusError, not_acceptable

JSON_TYPE: Final = "application/json"
YAML_TYPE: Final = "application/yaml"
PROTOBUF_TYPE: Final = "application/vnd.kubernetes.protobuf"
PRODUCED: Final = (JSON_TYPE, YAML_TYPE, PROTOBUF_TYPE)
FORMS: Final = {
    "Table": ("v1", "v1beta1"),
    "PartialObjectMetadata": ("v1", "v1beta1"),
    "PartialObjectMetadataList": ("v1", "v1beta1"),
}
LISTED: Final = ", ".join(PRODUCED)


@dataclass(frozen=True, slots=True)
class Clause:
    """One media type of an Accept header."""

    media: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    quality: float = 1.0


@dataclass(frozen=True, slots=True)
class Form:
    """The form chosen.

    Attributes:
        media: ``application/json`` or ``application/yaml``.
        target: empty for the object itself, else Table, PartialObjectMetadata or PartialObjectMetadataList.
        version: of the target.
    """

    media: str = JSON_TYPE
    target: str = ""
    version: str = "v1"


PLAIN: Final = Form()


def clauses(accept: str) -> list[Clause]:
    """The clauses of an Accept header, the most wanted first."""
    found = []
    for text in accept.split(","):
        media, *rest = (part.strip() for part in text.split(";"))
        if not media:
            continue
        parameters = {name.strip(): value.strip() for name, _, value in (part.partition("=") for part in rest)}
        found.append(Clause(media.lower(), parameters, _quality(parameters.pop("q", "1"))))
    return sorted(found, key=lambda clause: -clause.quality)


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 1.0


def choose(accept: str, *, convertible: bool = True) -> Form:
    """The form that the client wants most of those that there are; ``convertible`` says whether Tables are among them.

    Raises:
        StatusError: 406, there is none.
    """
    if not accept.strip():
        return PLAIN
    for clause in clauses(accept):
        form = _fits(clause, convertible=convertible)
        if form is not None:
            return form
    raise not_acceptable(f"only the following media types are accepted: {LISTED}")


def _fits(clause: Clause, *, convertible: bool) -> Form | None:
    media = {"*/*": JSON_TYPE, "application/*": JSON_TYPE}.get(clause.media, clause.media)
    if media not in (JSON_TYPE, YAML_TYPE):
        return None
    target = clause.parameters.get("as", "")
    if not target:
        return Form(media)
    version = clause.parameters.get("v", "")
    if not convertible or clause.parameters.get("g") != "meta.k8s.io" or version not in FORMS.get(target, ()):
        return None
    return Form(media, target, version)


def check_route(accept: str) -> None:
    """What the router of built-in kinds asks before anything else: one clause must name a type exactly.

    Raises:
        StatusError: 406.
    """
    offered = [clause.media for clause in clauses(accept)]
    if offered and not any(media == "*/*" or media in PRODUCED for media in offered):
        text = f"406: Not Acceptable\n\nAvailable representations: {LISTED}"
        raise StatusError(406, "NotAcceptable", text, {})


def choose_watch(accept: str) -> Form:
    """As `choose`, for a watch, which is a stream of JSON.

    Raises:
        StatusError: 406.
    """
    form = choose(accept)
    if form.media == YAML_TYPE:
        streams = f"{JSON_TYPE};stream=watch, {PROTOBUF_TYPE};stream=watch"
        raise not_acceptable(f"only the following media types are accepted: {streams}")
    return form


def error_media(accept: str) -> str:
    """The media type of an error: what the client wants if it can be had, else JSON."""
    for clause in clauses(accept):
        if clause.media in (JSON_TYPE, YAML_TYPE):
            return clause.media
    return JSON_TYPE


class _Dumper(yaml.CSafeDumper):
    """YAML as sigs.k8s.io/yaml writes it: list items at the indent of their key, its own choice of quotes."""


def _text(dumper: yaml.CSafeDumper, text: str) -> yaml.ScalarNode:
    """Lines as a block; double quotes around what would else be no string, or was none in YAML 1.1."""
    tag, style = "tag:yaml.org,2002:str", None
    if "\n" in text:
        style = "|"
    elif text in ("y", "Y", "n", "N") or dumper.resolve(yaml.ScalarNode, text, (True, False)) != tag:  # type: ignore[no-untyped-call]
        style = '"'
    return dumper.represent_scalar(tag, text, style=style)


_Dumper.add_representer(str, _text)


def encode(body: Any, media: str = JSON_TYPE, *, pretty: bool = False) -> bytes:
    """An answer's bytes."""
    if media == YAML_TYPE:
        plain = orjson.loads(orjson.dumps(body))
        return yaml.dump(plain, Dumper=_Dumper, default_flow_style=False, allow_unicode=True, width=80).encode()
    options = orjson.OPT_NON_STR_KEYS | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(body, option=options | (orjson.OPT_INDENT_2 if pretty else 0))


def joined(head: JSON, items: Sequence[bytes]) -> bytes:
    """The JSON of a list from its head, without items, and its items as JSON; joined once, for it may be large."""
    pieces = [orjson.dumps(head)[:-1], b',"items":[']
    for item in items:
        pieces += (item, b",")
    if items:
        pieces.pop()
    return b"".join([*pieces, b"]}\n"])
