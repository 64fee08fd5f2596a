"""The built-in kinds: what each defaults, prepares, refuses and shows."""

from lws_sandbox.kinds.registry import Features, strategies

__all__ = ["Features", "strategies"]
