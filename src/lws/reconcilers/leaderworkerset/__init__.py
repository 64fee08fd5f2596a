"""Reconcilers of LeaderWorkerSets, leader pods and worker pods."""
