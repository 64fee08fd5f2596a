"""The scheduler: nodes for pods, by the rules and in the words of Kubernetes 1.36."""
