"""What a LeaderWorkerSet, its leader pods and its worker pods need now.

`sets`, `leader_pod` and `worker_pod` are the entries; each concern has a file of its own.
"""
