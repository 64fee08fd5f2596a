"""A Kubernetes that fits in one process: API server, control loops, nodes; for a laptop, for tests, for simulation.

`lws_sandbox.cluster.Sandbox` is the whole of it. It stands beside the house and is no part of the controller.
"""
