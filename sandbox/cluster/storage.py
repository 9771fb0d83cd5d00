"""The volume provisioner: directories of this machine as PersistentVolumes that come and go.

`python -m sandbox.cluster.storage KUBECONFIG DIRECTORY` watches claims of the class `sandbox`.
When the scheduler has chosen a node for a claim's pod, it makes a directory and a `local` volume
bound to that node; when a volume is released, it deletes both. Sizes are promised, not enforced,
so that a claim that grows needs a larger promise and nothing else.
"""

from __future__ import annotations

import logging
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from typing import Any, cast

CLASS = "sandbox"
PROVISIONER = "ado-sandbox/local"
SELECTED_NODE = "volume.kubernetes.io/selected-node"  # set by the scheduler
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"

log = logging.getLogger("provisioner")


def storage_class() -> dict[str, Any]:
    """The cluster's default StorageClass."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": PROVISIONER,
        "reclaimPolicy": "Delete",
        "allowVolumeExpansion": True,
        "volumeBindingMode": "WaitForFirstConsumer",
    }


def volume_for(claim: dict[str, Any], directory: Path) -> dict[str, Any] | None:
    """The PersistentVolume that a claim waits for; None when it waits for none of ours (yet)."""
    metadata, spec = claim["metadata"], claim["spec"]
    node = (metadata.get("annotations") or {}).get(SELECTED_NODE)
    if spec.get("storageClassName") != CLASS or spec.get("volumeName") or not node:
        return None
    name = f"pvc-{metadata['uid']}"
    hostname = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {PROVISIONED_BY: PROVISIONER}},
        "spec": {
            "accessModes": spec["accessModes"],
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "volumeMode": spec.get("volumeMode", "Filesystem"),
            "storageClassName": CLASS,
            "persistentVolumeReclaimPolicy": "Delete",
            "local": {"path": str(directory / name)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [hostname]}]}},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
        },
    }


def grown_size(claim: dict[str, Any]) -> str | None:
    """The size that a claim of ours asks for beyond the one it has; None when it has it."""
    spec, status = claim["spec"], claim.get("status") or {}
    if spec.get("storageClassName") != CLASS or status.get("phase") != "Bound":
        return None
    # As text: the API server writes both in one way, and lets no claim ask for less than it has.
    wanted: str = spec["resources"]["requests"]["storage"]
    return wanted if wanted != status["capacity"]["storage"] else None


def is_released(volume: dict[str, Any]) -> bool:
    """Whether a PersistentVolume is ours and to be deleted with its data."""
    return (
        (volume["metadata"].get("annotations") or {}).get(PROVISIONED_BY) == PROVISIONER
        and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete"
        and (volume.get("status") or {}).get("phase") == "Released"
    )


class Provisioner:
    """Makes and deletes volumes below one directory."""

    def __init__(self, core: Any, directory: Path) -> None:  # noqa: ANN401 - untyped client
        self._core = core
        self._directory = directory

    def on_claim(self, claim: dict[str, Any]) -> None:
        """Give a claim the volume, or the size, that it waits for."""
        from kubernetes.client import ApiException  # noqa: PLC0415

        if size := grown_size(claim):
            self._grow(claim, size)
        volume = volume_for(claim, self._directory)
        if volume is None:
            return
        path = Path(volume["spec"]["local"]["path"])
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o755)  # whatever the umask; fsGroup gives a pod's group its rights
        try:
            self._core.create_persistent_volume(volume)
            log.info("made %s for %s", path.name, claim["metadata"]["name"])
        except ApiException as error:
            if error.status != 409:  # made already, and not bound yet
                raise

    def _grow(self, claim: dict[str, Any], size: str) -> None:
        metadata, larger = claim["metadata"], {"capacity": {"storage": size}}
        self._core.patch_persistent_volume(claim["spec"]["volumeName"], {"spec": larger})
        self._core.patch_namespaced_persistent_volume_claim_status(
            metadata["name"], metadata["namespace"], {"status": larger}
        )
        log.info("grew %s to %s", metadata["name"], size)

    def on_volume(self, volume: dict[str, Any]) -> None:
        """Delete a volume whose claim is gone."""
        from kubernetes.client import ApiException  # noqa: PLC0415

        if not is_released(volume):
            return
        name = volume["metadata"]["name"]
        shutil.rmtree(self._directory / name, ignore_errors=True)
        try:
            self._core.delete_persistent_volume(name)
            log.info("deleted %s", name)
        except ApiException as error:
            if error.status != 404:
                raise


def follow(listing: Callable[..., Any], handle: Callable[[dict[str, Any]], None]) -> None:
    """Hand every object of a listing, and every change to it, to `handle`; for ever.

    A watch that the API server ends (it is restarted, too much has happened) begins anew.
    """
    from kubernetes.client import ApiClient, ApiException  # noqa: PLC0415
    from kubernetes.watch import Watch  # noqa: PLC0415
    from urllib3.exceptions import HTTPError  # noqa: PLC0415

    pause = threading.Event()
    plain = ApiClient().sanitize_for_serialization
    while True:
        try:
            found = listing()
            for item in found.items:
                handle(cast("dict[str, Any]", plain(item)))
            start = found.metadata.resource_version
            events = Watch().stream(listing, resource_version=start, timeout_seconds=600)
            for event in cast("Iterator[dict[str, Any]]", events):
                if event["type"] in {"ADDED", "MODIFIED"}:
                    handle(event["raw_object"])
        except (ApiException, HTTPError, OSError) as error:
            log.warning("beginning anew: %s", error)
            pause.wait(1)  # the API server is away: do not hammer it


def main(kubeconfig: str, directory: str) -> None:
    """Provision until killed."""
    # Imported here: the rest of the sandbox needs this module's names only.
    from kubernetes import client, config  # noqa: PLC0415

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    config.load_kube_config(kubeconfig)
    core = client.CoreV1Api()
    provisioner = Provisioner(core, Path(directory))
    failures: Queue[Exception] = Queue()

    def follow_until_failure(
        listing: Callable[..., Any], handle: Callable[[dict[str, Any]], None]
    ) -> None:
        try:
            follow(listing, handle)
        except Exception as error:  # noqa: BLE001 - whatever it is ends the process
            failures.put(error)

    for listing, handle in (
        (core.list_persistent_volume_claim_for_all_namespaces, provisioner.on_claim),
        (core.list_persistent_volume, provisioner.on_volume),
    ):
        threading.Thread(target=follow_until_failure, args=(listing, handle), daemon=True).start()
    raise failures.get()  # the supervisor starts it again


if __name__ == "__main__":
    main(*sys.argv[1:])
