"""Kubernetes on this machine: control plane, nodes, and what a platform expects there."""
