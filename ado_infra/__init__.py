"""The ADO platform on Kubernetes, as Pulumi components."""

from ado_infra.platform import AdoPlatform, AdoPlatformArgs
from ado_infra.secrets import StackSecrets
from ado_infra.settings import Settings
from ado_infra.stack_config import load_settings

__all__ = [
    "AdoPlatform",
    "AdoPlatformArgs",
    "Settings",
    "StackSecrets",
    "load_settings",
]
