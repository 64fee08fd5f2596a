"""Brings about what a LeaderWorkerSetOperator asks for: observe, plan, apply (operator 5)."""
