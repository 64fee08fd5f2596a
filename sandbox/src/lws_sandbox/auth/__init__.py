"""Who asks, and what they may do: authentication, RBAC, impersonation, and the review kinds.

`lws_sandbox.auth.access.RbacAccess` is the room's door.
"""
