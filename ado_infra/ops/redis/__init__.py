"""The operator's commands for Redis."""
