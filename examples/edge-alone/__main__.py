"""The edge alone: one host name before two Services that exist."""

import pulumi

import ado_infra as ado

args = ado.EdgeArgs(
    site=ado.Site("shop", namespace="shop"),
    settings=ado.EdgeSettings(host="shop.example.com"),
    gateway_service="gateway",
    dashboard_service="dashboard",
)
pulumi.export("url", ado.Edge("edge", args).url)
