"""This machine: control groups, mounts, networks, limits, and the programs kept running."""
