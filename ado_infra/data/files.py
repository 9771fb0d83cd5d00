"""What a store's pods are started with: where they find it, and the files of the package."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import resources
from typing import Final

from ado_infra.kit.spec import Resources

CONFIG: Final = "/etc/ado/config"
SECRETS: Final = "/etc/ado/secrets"
JOB_RESOURCES: Final = Resources.of(("50m", "32Mi"), ("500m", "128Mi"))
"""Of a store's Jobs, which ask and tell, and compute nothing."""


def packaged(package: str, names: Iterable[str]) -> dict[str, str]:
    """File name → content of files that come with a package, in its folder `files`."""
    folder = resources.files(package) / "files"
    return {name: (folder / name).read_text(encoding="utf-8") for name in names}
