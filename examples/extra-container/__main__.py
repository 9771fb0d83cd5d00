"""A gateway with an extra container in its pods: a cache of their own, on 127.0.0.1:6380."""

from typing import Any

import pulumi

import ado_infra as ado

CACHE = {
    "name": "cache",
    "image": "docker.io/library/redis:8.0.5-bookworm",
    "command": ["redis-server", "--bind", "127.0.0.1", "--port", "6380", "--save", ""],
    # The autoscaler goes by the share of what is requested: each container must request some.
    "resources": {
        "requests": {"cpu": "20m", "memory": "32Mi"},
        "limits": {"cpu": "100m", "memory": "64Mi"},
    },
    # What Pod Security `restricted` demands of each container; the rest the pod has already.
    "securityContext": {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
    },
}


def with_cache(args: pulumi.ResourceTransformArgs) -> pulumi.ResourceTransformResult | None:
    """Adds the container to the gateway's Deployment; all else is left as it is."""
    props: dict[str, Any] = dict(args.props)
    if args.type_ != "kubernetes:apps/v1:Deployment":
        return None
    if props["metadata"]["name"] != "ado-api-gateway":
        return None
    props["spec"]["template"]["spec"]["containers"].append(CACHE)
    return pulumi.ResourceTransformResult(props, args.opts)


settings = ado.GatewaySettings(
    image=ado.ImageVersion(tag="1.4.2"),
    resources=ado.Resources.of(("100m", "128Mi"), ("500m", "512Mi")),
    scaling=ado.Scaling(min_replicas=1, max_replicas=2),
    disruption=ado.Disruption(max_unavailable=1),
)
gateway = ado.ApiGateway(
    "gateway",
    ado.ApiGatewayArgs(
        site=ado.Site("shop", namespace="shop"),
        settings=settings,
        database=ado.DatabaseEndpoint(url=ado.SecretKey(secret="shop-database", key="url")),
        redis=ado.RedisEndpoint(url=ado.SecretKey(secret="shop-redis", key="url")),
    ),
    pulumi.ResourceOptions(transforms=[with_cache]),
)
