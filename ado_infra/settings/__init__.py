"""What a stack may say about the platform: one frozen model per `ado:<section>` key of its config.

Plain values only. Nothing here knows Pulumi, and no secret ever passes through (see `secrets.py`).
YAML keys are camelCase, Python fields snake_case. Defaults are the design's production numbers;
a smaller environment says so in its `Pulumi.<stack>.yaml`.
"""

from ado_infra.settings.application import ApplicationConfig
from ado_infra.settings.data import (
    AppendFsync,
    BackupSettings,
    Mode,
    PostgresSettings,
    PostgresVolume,
    RedisSettings,
    RedisVolume,
    StoreSettings,
)
from ado_infra.settings.edge import CERT_MANAGER, Controller, EdgeSettings, Issuer, Tls
from ado_infra.settings.namespace import LimitRangeSettings, NamespaceSettings
from ado_infra.settings.network import CaBundle, NetworkSettings, ProxySettings
from ado_infra.settings.network_policies import (
    EgressSettings,
    NetworkPolicySettings,
    Opening,
    Openings,
    Part,
    Place,
    Somewhere,
)
from ado_infra.settings.object_storage import Buckets, Credentials, ObjectStorageSettings
from ado_infra.settings.policies import Policy, PolicySettings
from ado_infra.settings.production import Profile
from ado_infra.settings.secrets import (
    RemoteSecret,
    SecretReference,
    SecretSettings,
    SecretStore,
    StoreKind,
)
from ado_infra.settings.stack import ImageSettings, MonitoringSettings, Settings
from ado_infra.settings.tiers import (
    DEFAULT_POOL,
    DashboardSettings,
    GatewaySettings,
    MigrationSettings,
    ModelGateway,
    OrchestratorSettings,
    TierSettings,
    WorkerPoolSettings,
    WorkerScaling,
    pool_name,
)

__all__ = [
    "CERT_MANAGER",
    "DEFAULT_POOL",
    "AppendFsync",
    "ApplicationConfig",
    "BackupSettings",
    "Buckets",
    "CaBundle",
    "Controller",
    "Credentials",
    "DashboardSettings",
    "EdgeSettings",
    "EgressSettings",
    "GatewaySettings",
    "ImageSettings",
    "Issuer",
    "LimitRangeSettings",
    "MigrationSettings",
    "Mode",
    "ModelGateway",
    "MonitoringSettings",
    "NamespaceSettings",
    "NetworkPolicySettings",
    "NetworkSettings",
    "ObjectStorageSettings",
    "Opening",
    "Openings",
    "OrchestratorSettings",
    "Part",
    "Place",
    "Policy",
    "PolicySettings",
    "PostgresSettings",
    "PostgresVolume",
    "Profile",
    "ProxySettings",
    "RedisSettings",
    "RedisVolume",
    "RemoteSecret",
    "SecretReference",
    "SecretSettings",
    "SecretStore",
    "Settings",
    "Somewhere",
    "StoreKind",
    "StoreSettings",
    "TierSettings",
    "Tls",
    "WorkerPoolSettings",
    "WorkerScaling",
    "pool_name",
]
