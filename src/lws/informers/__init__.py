"""Watches that keep small typed caches.

`lws.informers.registry` shares informers, `lws.informers.kinds` says what can be watched, `lws.informers.store` is what
readers see.
"""
