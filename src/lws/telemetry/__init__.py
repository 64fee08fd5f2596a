"""Logs and metrics; every floor may use them but the pure ones and `workqueue`."""
