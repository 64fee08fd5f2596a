"""Systems that stand on us, run beside a real control plane as processes of their own."""
