"""The operator's commands: `ado-ops --help`.

An extra (`requirements-ops.txt`), not needed to deploy. They talk to the cluster alone, through its
API; what a stack has to say afterwards is printed. `adopt` alone runs `pulumi` itself.
"""

from typing import Final

NAME: Final = "ado-ops"
"""Of the command, of its Role and its Lease, and as whom it writes (the field manager)."""
