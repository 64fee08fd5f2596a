"""StatefulSets, by the rules of the controller of Kubernetes 1.36."""
