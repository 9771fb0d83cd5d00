"""Where a part of the platform is installed, and what all parts share."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from typing import Final

import pulumi
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from ado_infra.kit.connections import Pods
from ado_infra.kit.labels import Identity
from ado_infra.kit.pod_options import Extension, PodOptions
from ado_infra.kit.spec import ImageVersion
from ado_infra.kit.values import dns_label, label_value
from ado_infra.network import network_options
from ado_infra.settings import ImageSettings, NetworkSettings

APPLICATION: Final = "ado"
_HEX: Final = re.compile(r"(?:[0-9a-fA-F]{2})+")


def require_instance(argument: str, name: str) -> None:
    """Checks the name of an installation; raises pulumi.RunError as `require` does."""
    require(argument, name, label_value)


def require(argument: str, value: str, check: Callable[[str], str]) -> None:
    """Checks an argument of a part; raises pulumi.RunError with its name when it is wrong."""
    try:
        check(value)
    except ValueError as wrong:
        raise pulumi.RunError(f"{argument} = {value!r} {wrong}") from None


@dataclass(frozen=True)
class Site:
    """Where a part is installed, and what all parts there share.

    Raises pulumi.RunError with the name of an attribute that is wrong.

    Attributes:
        instance: Name of this installation, unique in its namespace; a label of every object.
        namespace: Where everything is created; it must exist.
        images: Where images come from.
        pull_secret: Name of an image pull Secret that is made beside the part; without one that of
            `images`, if any.
        protect: Whether what holds data refuses to be destroyed.
        digest_key: For the digests of Secrets, in hex (see `kit/published.py`); without one
            each Secret gets a key of its own.
        network: How pods reach what is outside the cluster.
        pods: What all pods have besides; a part's own `pod` adds to it, or overrides it.
    """

    instance: str
    _: KW_ONLY
    namespace: pulumi.Input[str]
    images: ImageSettings = field(default_factory=ImageSettings)
    pull_secret: pulumi.Input[str] | None = None
    protect: bool = False
    digest_key: pulumi.Input[str] | None = None
    network: NetworkSettings = field(default_factory=NetworkSettings)
    pods: PodOptions = field(default_factory=PodOptions)

    def __post_init__(self) -> None:
        require_instance("Site.instance", self.instance)
        if isinstance(self.namespace, str):
            require("Site.namespace", self.namespace, dns_label)
        if isinstance(self.digest_key, str) and not _HEX.fullmatch(self.digest_key):
            raise pulumi.RunError(  # without the value, which is secret
                "Site.digest_key is no text of hex digits, two for each byte; leave it out, or "
                "give the `hex` of a RandomBytes"
            )

    @property
    def image_pull_secret(self) -> pulumi.Input[str] | None:
        """Name of the Secret that images are pulled with; None where nobody asks for one."""
        return self.images.pull_secret if self.pull_secret is None else self.pull_secret

    def extension(self, section: str | None = None, pod: PodOptions | None = None) -> Extension:
        """What is added to the pods of a part: by all, and by the `pod` of its own section."""
        layers = [("ado:network", network_options(self.network)), ("ado:pods", self.pods)]
        if section and pod:
            layers.append((f"ado:{section}.pod", pod))
        return Extension(tuple(layers))

    def identity(self, component: str) -> Identity:
        """What the objects of a component belong to."""
        return Identity(application=APPLICATION, instance=self.instance, component=component)

    def pods_of(self, workload: str) -> Pods:
        """The pods of a workload, as others on the network know them."""
        return Pods(name=workload, labels=self.identity(workload).of_workload(workload))

    def job_pods(self, component: str) -> Pods:
        """The pods of a component that are no workload's, but those of its Jobs."""
        return Pods(name=component, labels=self.identity(component).of_component)

    def metadata(
        self,
        component: str,
        name: str,
        labels: dict[str, str] | None = None,
        annotations: dict[str, str] | None = None,
    ) -> ObjectMetaArgs:
        """Name, namespace, labels and annotations of an object of a component."""
        return ObjectMetaArgs(
            name=name,
            namespace=self.namespace,
            labels={**self.identity(component).labels, **(labels or {})},
            annotations=annotations,
        )

    def own_image(self, name: str, version: ImageVersion) -> str:
        """Reference of one of the platform's own images."""
        return version.reference(f"{self.images.registry}/{name}")

    def official_image(self, name: str, version: ImageVersion) -> str:
        """Reference of an official image."""
        return version.reference(f"{self.images.mirror}/{name}")

    def kubectl_image(self) -> str:
        """Reference of kubectl's image."""
        return self.images.kubectl_image.reference(f"{self.images.kubernetes}/kubectl")

    def rclone_image(self) -> str:
        """Reference of rclone's image."""
        return self.images.rclone_image.reference(f"{self.images.rclone}/rclone")
