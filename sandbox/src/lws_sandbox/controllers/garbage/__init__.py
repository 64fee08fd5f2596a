"""The garbage collector: objects go when their owners are gone, by the rules of Kubernetes 1.36."""
