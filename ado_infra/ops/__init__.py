"""The operator's commands: `ado-ops --help`.

An extra (`requirements-ops.txt`), not needed to deploy. Those of a store
talk to the cluster alone, through its API; what a stack has to say afterwards is printed. `adopt`
runs `pulumi`; `render`, `review`, `policies`, `schema` and `role` ask no cluster.
"""

from typing import Final

NAME: Final = "ado-ops"
"""Of the command, of its Role and its Lease, and as whom it writes (the field manager)."""
