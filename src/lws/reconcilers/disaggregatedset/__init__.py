"""Reconciles DisaggregatedSets: observe, plan, apply."""
