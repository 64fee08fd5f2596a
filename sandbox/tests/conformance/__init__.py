"""What a real Kubernetes answered, and whether a server answers alike."""
