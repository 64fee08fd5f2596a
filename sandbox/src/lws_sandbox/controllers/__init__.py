"""The control loops of a cluster, as ordinary API clients on our own framework.

Each loop is a planner (pure functions of what the caches hold) and a thin reconciler that applies the plan.
"""
