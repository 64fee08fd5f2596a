"""The built-in kinds: what each defaults, prepares, refuses and shows."""

from lws_sandbox.kinds.registry import strategies
from lws_sandbox.releases import Features

__all__ = ["Features", "strategies"]
