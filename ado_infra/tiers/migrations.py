"""Migrations: a command that brings the database's schema up to date, once per version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pulumi

from ado_infra.data.connections import StoresOnNetwork
from ado_infra.data.endpoints import DatabaseEndpoint
from ado_infra.kit.connections import Connection
from ado_infra.kit.jobs import JobArgs, one_shot
from ado_infra.settings import MigrationSettings, OrchestratorSettings
from ado_infra.site import Site
from ado_infra.tiers.orchestrator import COMPONENT as ORCHESTRATOR

COMPONENT: Final = "migrations"


@dataclass(frozen=True, kw_only=True)
class MigrationsArgs:
    """What the migrations are made from.

    Attributes:
        site: Where they run.
        settings: Image and command.
        orchestrator: Whose image runs when the settings name none, and whose resources it gets.
        database: What they migrate.
        database_settings: Which database that is: another one is migrated too.
    """

    site: Site
    settings: MigrationSettings
    orchestrator: OrchestratorSettings
    database: DatabaseEndpoint
    database_settings: Mapping[str, str]


class Migrations(pulumi.ComponentResource):
    """The migrations, run before the applications roll.

    Produces: Job `ado-migrations-<digest>`, ServiceAccount `ado-migrations`. Another image, command
    or database makes another Job; a changed password or a refresh runs nothing.
    """

    def __init__(
        self, name: str, args: MigrationsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ado:index:Migrations", name, {}, opts)
        job = one_shot(f"{name}-job", _job(args), pulumi.ResourceOptions(parent=self))
        self.register_outputs({"job": job.metadata.name})


def connections(site: Site, stores: StoresOnNetwork) -> tuple[Connection, ...]:
    """What the migrations reach."""
    return site.job_pods(COMPONENT).to(*stores.database, why="brings the schema up to date")


def _job(args: MigrationsArgs) -> JobArgs:
    site, image = args.site, args.settings.image
    return JobArgs(
        identity=site.identity(COMPONENT),
        name="ado-migrations",
        namespace=site.namespace,
        image=site.own_image(image.name, image)
        if image
        else site.own_image(ORCHESTRATOR, args.orchestrator.image),
        command=args.settings.command,
        decisive=args.database_settings,
        timeout=args.settings.timeout,
        resources=args.orchestrator.resources,
        pull_secret=site.image_pull_secret,
        secrets=args.database.secrets,
        extension=site.extension("migrations", args.settings.pod),
    )
