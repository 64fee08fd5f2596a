"""Observe, plan, apply: the reconcilers of LeaderWorkerSets, leader pods and worker pods."""

from lws.reconcilers.leaderworkerset.build import Queues, Reconcilers, build
from lws.reconcilers.leaderworkerset.observe import Caches
from lws.reconcilers.leaderworkerset.triggers import Key

__all__ = ["Caches", "Key", "Queues", "Reconcilers", "build"]
