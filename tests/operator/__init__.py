"""Tests of the composition root."""  # noqa: A005 -- the room is called so
