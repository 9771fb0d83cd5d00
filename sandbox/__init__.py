"""The embedded cluster: real Kubernetes on this machine, for `make` and the cluster tests."""
