"""`python -m ado_infra.ops`."""

from ado_infra.ops.cli import main

main()
