"""The operator's commands: `ado-ops --help`.

An extra (`requirements-ops.txt`), not needed to deploy. They talk to the cluster alone, through its
API, and never to Pulumi: what a stack has to say afterwards is printed, to be committed.
"""
