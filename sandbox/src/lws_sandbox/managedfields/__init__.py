"""Who owns which field: server-side apply, and tracking by other writes."""

from lws_sandbox.managedfields.entries import APPLY, UPDATE, EntryError
from lws_sandbox.managedfields.fieldset import FieldSet
from lws_sandbox.managedfields.manager import same_but_times, server_side_apply, track
from lws_sandbox.managedfields.scale import to_parent, to_scale

__all__ = [
    "APPLY",
    "UPDATE",
    "EntryError",
    "FieldSet",
    "same_but_times",
    "server_side_apply",
    "to_parent",
    "to_scale",
    "track",
]
