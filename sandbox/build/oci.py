"""Writes and reads OCI image archives: the tar that `ctr images import` takes, nothing more.

Layers stay uncompressed: they never cross a network, and copying them is cheaper than
unpacking them again on every node.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""The kernel's names → Go's, which images use; others are the same in both."""

_IMAGE_NAME = "io.containerd.image.name"  # the annotation that containerd imports a manifest by
_MEDIA = "application/vnd.oci.image"


@dataclass(frozen=True)
class Image:
    """One image of an archive."""

    name: str
    """Full reference, `host/path:tag`, under which containerd knows it after the import."""
    config: Mapping[str, Any]
    """What the OCI image specification calls `config`: Entrypoint, Env, User, …"""
    layers: Sequence[Path]
    """Uncompressed layer tars, lowest first."""


def write_layer(path: Path, files: Mapping[str, tuple[bytes, int]]) -> None:
    """Write a layer of the given files, `path in the image → (content, mode)`, owned by root."""
    with tarfile.open(path, "w") as layer:
        for name, (content, mode) in sorted(files.items()):
            _add(layer, name, content, mode)


def write_archive(path: Path, images: Sequence[Image]) -> None:
    """Write an archive of the images; a layer that several of them share is in it once."""
    blobs: dict[str, Path | bytes] = {}
    manifests = [_manifest(image, blobs) for image in images]
    with tarfile.open(path, "w") as archive:
        # First, so that reading the digests back does not walk through the layers.
        _add(archive, "index.json", _json(schemaVersion=2, manifests=manifests))
        _add(archive, "oci-layout", _json(imageLayoutVersion="1.0.0"))
        for digest, blob in blobs.items():
            name = f"blobs/{digest.replace(':', '/')}"
            if isinstance(blob, bytes):
                _add(archive, name, blob)
            else:
                archive.add(blob, name)


def digests(archive: Path) -> dict[str, str]:
    """The images of an archive, as name → manifest digest."""
    with tarfile.open(archive) as tar:
        index = tar.next()
        content = tar.extractfile(index) if index and index.name == "index.json" else None
        if content is None:
            raise ValueError(
                f"{archive} does not begin with index.json: not written by this module"
            )
        manifests = json.load(content)["manifests"]
    return {manifest["annotations"][_IMAGE_NAME]: manifest["digest"] for manifest in manifests}


def _manifest(image: Image, blobs: dict[str, Path | bytes]) -> dict[str, Any]:
    """Collect an image's blobs; return its entry in the index."""
    layers = [_descriptor(f"{_MEDIA}.layer.v1.tar", layer, blobs) for layer in image.layers]
    config = _json(
        architecture=ARCHITECTURES.get(platform.machine(), platform.machine()),
        os="linux",
        config=image.config,
        # Uncompressed, so a layer's digest is its diff id too.
        rootfs={"type": "layers", "diff_ids": [layer["digest"] for layer in layers]},
    )
    manifest = _json(
        schemaVersion=2,
        mediaType=f"{_MEDIA}.manifest.v1+json",
        config=_descriptor(f"{_MEDIA}.config.v1+json", config, blobs),
        layers=layers,
    )
    descriptor = _descriptor(f"{_MEDIA}.manifest.v1+json", manifest, blobs)
    return descriptor | {"annotations": {_IMAGE_NAME: image.name}}


def _descriptor(
    media_type: str, blob: Path | bytes, blobs: dict[str, Path | bytes]
) -> dict[str, Any]:
    if isinstance(blob, bytes):
        size, digest = len(blob), hashlib.sha256(blob).hexdigest()
    else:
        size, digest = blob.stat().st_size, _file_sha256(blob)
    blobs[f"sha256:{digest}"] = blob
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": size}


def _file_sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _json(**document: Any) -> bytes:  # noqa: ANN401 - JSON
    return json.dumps(document, sort_keys=True).encode()


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))
