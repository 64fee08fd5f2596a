"""`kubectl lws ui`: documents as tables, the gate, and the page served over a sandbox's API server."""
