"""The real control plane in the sandbox's place: etcd, kube-apiserver and, where there, the managers beside them.

The sandbox's own loops supply what the real processes leave out: kubelets always, the rest as binaries are missing.
"""
