"""The APIs, pure: a folder each, beside what they share (`fields`, `schemas`).

No await, clock, randomness, I/O or logging; a function of its arguments, and of the schemas that ship with it.
"""
