"""What the DisaggregatedSet controller watches beside LeaderWorkerSets and Services."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS, ROLESCALERS
from lws.api.disaggregatedset.types import DisaggregatedSet, DisaggregatedSetRoleScaler
from lws.informers.kinds import Kind


def _set(raw: Any) -> DisaggregatedSet:
    return DisaggregatedSet.from_json(bytes(raw))


def _scaler(raw: Any) -> DisaggregatedSetRoleScaler:
    return DisaggregatedSetRoleScaler.from_json(bytes(raw))


SETS: Final[Kind[DisaggregatedSet]] = Kind(DISAGGREGATEDSETS, msgspec.Raw, _set)
SCALERS: Final[Kind[DisaggregatedSetRoleScaler]] = Kind(ROLESCALERS, msgspec.Raw, _scaler)
