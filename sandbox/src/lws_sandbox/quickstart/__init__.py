"""`make run`: the sandbox, the controller and an example in one process."""
