"""What the operator wants of a cluster, and what it does about it: pure (operator 5)."""
