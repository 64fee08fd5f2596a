"""The resources of this API."""

from __future__ import annotations

from typing import Final

from lws.apimachinery.resources import Resource

GROUP: Final = "disaggregatedset.x-k8s.io"
DISAGGREGATEDSETS: Final = Resource(GROUP, "v1", "disaggregatedsets", "DisaggregatedSet")
ROLESCALERS: Final = Resource(GROUP, "v1", "disaggregatedsetrolescalers", "DisaggregatedSetRoleScaler")
