"""Kubernetes API machinery, pure: resources, metadata, manifests, quantities, names, and the actions of a plan."""
