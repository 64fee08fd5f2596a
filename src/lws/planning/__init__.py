"""Every decision, pure: a snapshot of the caches in, a plan of actions out.

`lws.planning.leaderworkerset`, `lws.planning.leader_pod` and `lws.planning.worker_pod` are the entries; each concern
has a file of its own. No await, clock, randomness, I/O or logging; time arrives as an argument.
"""
