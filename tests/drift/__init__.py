"""The requests that our own product makes, answered by the sandbox and by a real server, and compared."""
