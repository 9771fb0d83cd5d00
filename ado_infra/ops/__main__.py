"""`ado-ops`, which needs more than the platform's program does."""

import sys

EXTRA = "ado-infra[ops]"


def main() -> None:
    """Run the command line; say what to install where what it needs is missing."""
    try:
        _run()
    except KeyboardInterrupt:  # while all that is imported; later the command line has said more
        print("Interrupted.", file=sys.stderr)
        sys.exit(130)


def _run() -> None:
    try:
        from ado_infra.ops import cli  # noqa: PLC0415 - may be missing

        cli.main()
    except ModuleNotFoundError as missing:
        package = (missing.name or "").partition(".")[0]
        if package in {"", "ado_infra"}:
            raise
        print(
            f"ado-ops needs {package}, which is not installed: pip install '{EXTRA}', or in a "
            "checkout: pip install -r requirements-ops.txt",
            file=sys.stderr,
        )
        sys.exit(1)


if __name__ == "__main__":
    main()
