"""The operator's commands: `ado-ops --help`.

An extra (`requirements-ops.txt`), not needed to deploy. They talk to the cluster alone, through its
API; what a stack has to say afterwards is printed. `adopt` alone runs `pulumi` itself.
"""
