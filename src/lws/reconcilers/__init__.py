"""Observe, plan, apply: a folder an API."""
