"""Incidents staged on the sandbox in virtual time, each with the remedy of its alert's runbook."""
