"""``kubectl lws plan``: what a change would do, rehearsed on a copy of the cluster in virtual time (resilience 8)."""
