"""Observe, plan, apply: the reconcilers of LeaderWorkerSets, leader pods and worker pods."""

from lws.reconcilers.build import Queues, Reconcilers, build
from lws.reconcilers.observe import Caches
from lws.reconcilers.triggers import Key

__all__ = ["Caches", "Key", "Queues", "Reconcilers", "build"]
