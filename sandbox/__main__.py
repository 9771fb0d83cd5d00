"""`python -m sandbox`."""

from __future__ import annotations

from sandbox import errors


def main() -> None:
    """Run the command line; its imports too can be interrupted."""
    from sandbox.cli import app  # noqa: PLC0415

    app(prog_name="python -m sandbox")


if __name__ == "__main__":
    errors.run(main)
