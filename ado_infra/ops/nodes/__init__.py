"""The operator's commands for nodes of the cluster."""
