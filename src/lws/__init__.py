"""LeaderWorkerSet for Kubernetes: groups of pods as one unit.

The floors of the house, and who may import whom, are drawn in ``ARCHITECTURE.md``.
"""

__version__ = "0.1.0"
