"""Puts the controller of DisaggregatedSets together, and has every change in the caches wake the sets it concerns.

What wakes a set: any change of it; of a LeaderWorkerSet, Service or scaler that it controls or that bears its label
(DD-15); and the coming or going of anything else under a name that the set gives, which may have kept it from its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lws.api.disaggregatedset import labels, names
from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS
from lws.apimachinery.objects import Key, Object, ObjectMeta
from lws.client.api import ApiClient
from lws.planning.disaggregatedset.ownership import relation
from lws.reconcilers.disaggregatedset.observe import Caches, Observer
from lws.reconcilers.disaggregatedset.sets import DisaggregatedSetReconciler
from lws.runtime.builder import ControllerBuilder, ControllerOptions
from lws.runtime.controller import Controller
from lws.runtime.events import Recorder

NAME: Final = "disaggregatedset"


def build(caches: Caches, client: ApiClient, recorder: Recorder, options: ControllerOptions) -> Controller[Key]:
    """Make the controller. Nothing runs yet, but every change in the caches wakes its keys.

    Args:
        caches: what is read.
        client: what is written through.
        recorder: takes events.
        options: what the controllers of the process share.
    """

    def sets_of_object(old: Object | None, new: Object | None) -> set[Key]:
        metas = [each.metadata for each in (old, new) if each is not None]
        keys = {key for meta in metas for key in concerned(meta)}
        return keys if old is not None and new is not None else keys | {*_namesakes(caches, metas[0])}

    builder = ControllerBuilder[Key](NAME, options)
    executor = builder.executor(client, recorder, ownership=relation)
    builder.watch(caches.sets, lambda old, new: {each.metadata.key for each in (old, new) if each is not None})
    builder.watch(caches.children, sets_of_object)
    builder.watch(caches.services, sets_of_object)
    builder.watch(caches.scalers, sets_of_object)
    return builder.build(DisaggregatedSetReconciler(Observer(caches), executor, options.clock).reconcile)


def concerned(meta: ObjectMeta) -> Iterator[Key]:
    """The set that controls an object, and the one whose label it bears."""
    owner, name = meta.controller, meta.label(labels.NAME)
    if owner is not None and owner.kind == DISAGGREGATEDSETS.kind:
        yield (meta.namespace, owner.name)
    if name:
        yield (meta.namespace, name)


def _namesakes(caches: Caches, meta: ObjectMeta) -> Iterator[Key]:
    for name in names.sets_that_name(meta.name):
        if caches.sets.store.get(meta.namespace, name) is not None:
            yield (meta.namespace, name)
