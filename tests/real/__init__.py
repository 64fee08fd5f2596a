"""What is promised, on every control plane: the sandbox's own and the real one."""
