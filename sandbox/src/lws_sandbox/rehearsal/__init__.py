"""Rehearsals: a change made on a copy of somebody's cluster, in virtual time, with the product's own controller.

This room and `lws_sandbox.quickstart` alone know the product; ``kubectl lws plan`` finds it by its name.
"""
