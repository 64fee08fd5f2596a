"""The only floor that talks to an API server.

`lws.client.api` has the verbs, `lws.client.connection` finds and reaches a server, `lws.client.transport` is the waist
between them.
"""
