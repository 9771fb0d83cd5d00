"""Stacks in a sandbox: planned, deployed, waited for and shown."""
