"""Every decision, pure: a snapshot of the caches in, a plan of actions out.

A folder an API; each concern has a file of its own. No await, clock, randomness, I/O or logging; time arrives as an
argument.
"""
