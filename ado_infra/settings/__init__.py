"""What a stack may say about the platform: one frozen model per `ado:<section>` key of its config.

Plain values only. Nothing here knows Pulumi, and no secret ever passes through (see `secrets.py`).
YAML keys are camelCase, Python fields snake_case. Defaults are the design's production numbers;
a smaller environment says so in its `Pulumi.<stack>.yaml`.
"""

from ado_infra.settings.application import ApplicationConfig
from ado_infra.settings.data import (
    AppendFsync,
    BackupSettings,
    Buckets,
    Mode,
    ObjectStorageSettings,
    PostgresSettings,
    PostgresVolume,
    RedisSettings,
    RedisVolume,
    StoreSettings,
)
from ado_infra.settings.network_policies import (
    EgressSettings,
    NetworkPolicySettings,
    Opening,
    Openings,
    Part,
    Place,
    Somewhere,
)
from ado_infra.settings.policies import Policy, PolicySettings
from ado_infra.settings.production import Profile
from ado_infra.settings.stack import ImageSettings, MonitoringSettings, NamespaceSettings, Settings
from ado_infra.settings.tiers import (
    DEFAULT_POOL,
    Controller,
    DashboardSettings,
    EdgeSettings,
    GatewaySettings,
    MigrationSettings,
    OrchestratorSettings,
    TierSettings,
    WorkerPoolSettings,
    WorkerScaling,
    pool_name,
)

__all__ = [
    "DEFAULT_POOL",
    "AppendFsync",
    "ApplicationConfig",
    "BackupSettings",
    "Buckets",
    "Controller",
    "DashboardSettings",
    "EdgeSettings",
    "EgressSettings",
    "GatewaySettings",
    "ImageSettings",
    "MigrationSettings",
    "Mode",
    "MonitoringSettings",
    "NamespaceSettings",
    "NetworkPolicySettings",
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
    "RedisSettings",
    "RedisVolume",
    "Settings",
    "Somewhere",
    "StoreSettings",
    "TierSettings",
    "WorkerPoolSettings",
    "WorkerScaling",
    "pool_name",
]
