"""Two platforms in one cluster: the same settings, but a namespace, host and buckets each.

With `ado:postgres.backup` each needs a prefix of its own too, or one deletes the other's dumps.
"""

import pulumi

import ado_infra as ado

settings, secrets = ado.load_stack()

for name in ("blue", "green"):
    buckets = ado.Buckets(checkpoints=f"{name}-checkpoints", artifacts=f"{name}-artifacts")
    own = settings.model_copy(
        update={
            "namespace": ado.NamespaceSettings(name=f"ado-{name}"),
            "edge": settings.edge.model_copy(update={"host": f"{name}.{settings.edge.host}"}),
            "object_storage": settings.object_storage.model_copy(update={"buckets": buckets}),
        }
    )
    platform = ado.AdoPlatform(name, ado.AdoPlatformArgs(settings=own, secrets=secrets))
    pulumi.export(f"{name}Url", platform.url)
