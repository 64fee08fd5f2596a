"""The API, pure: types declared once, labels, defaults, validation, pod mutation, revisions.

No await, clock, randomness, I/O or logging; a function of its arguments, and of the schemas that ship with it.
"""
