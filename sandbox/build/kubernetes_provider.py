"""The source of the official Kubernetes provider, made ready to be built from its Go module.

The module holds all of the program but two things. Its main package embeds two documents that are
generated for a release, from documents that it has; and its component resources import the
generated Go SDK, sixty packages that take longer to compile than everything else: a stand-in of
what they name serves instead, so that this build refuses `ConfigGroup`, `ConfigFile` and `Chart`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from sandbox.errors import SandboxError

MODULE = "github.com/pulumi/pulumi-kubernetes/provider/v4"
SDK = "github.com/pulumi/pulumi-kubernetes/sdk/v4"
STANDIN = Path(__file__).parent / "go" / "kubernetes-sdk"
RELEASE = "4.25.0"
"""The release that the module's pinned commit is."""
_SCHEMA = "pkg/gen/schema.go"
_BEFORE, _AFTER = "Provider: pschema.ResourceSpec{", "Provider: &pschema.ResourceSpec{"
"""The engine's library, with which both are built, wants a pointer there."""


def changes() -> bytes:
    """All that `copied` makes different."""
    made = (Path(__file__), *sorted(path for path in STANDIN.rglob("*") if path.is_file()))
    return b"".join(path.read_bytes() for path in made)


def copied(source: Path, room: Path) -> Mapping[str, Path]:
    """Lay the provider out in an empty directory; module path → its directory there.

    Raises SandboxError when the module is not what this was written for.
    """
    provider, sdk = room / "provider", room / "sdk"
    shutil.copytree(source, provider, copy_function=shutil.copyfile)  # writable, unlike Go's cache
    for directory in (provider, *(path for path in provider.rglob("*") if path.is_dir())):
        directory.chmod(0o755)
    shutil.copytree(STANDIN, sdk)
    main = provider / "cmd" / "pulumi-resource-kubernetes"
    schema = json.loads((main / "schema.json").read_bytes())
    (main / "schema-embed.json").write_text(json.dumps(schema | {"version": RELEASE}))
    shutil.copy(main / "terraform-mapping.json", main / "terraform-mapping-embed.json")
    text = (provider / _SCHEMA).read_text()
    if _BEFORE not in text:
        raise SandboxError(f"{MODULE}: {_SCHEMA} is not as {__name__} expects it; it must follow.")
    (provider / _SCHEMA).write_text(text.replace(_BEFORE, _AFTER))
    return {MODULE: provider, SDK: sdk}
