"""The kubelets of all nodes: pods run through their lives, with delays in place of containers."""
