"""The applications' own `config.yaml`, as far as the platform knows it."""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Annotated, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from ado_infra.kit.spec import Spec
from ado_infra.kit.values import HttpUrl


class OpenSpec(Spec):
    """A section that may carry keys of the application's own."""

    model_config = ConfigDict(extra="allow")


@unique
class LogLevel(StrEnum):
    """The least severe message that the applications log."""

    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"


@unique
class LogFormat(StrEnum):
    """The shape of the applications' log lines."""

    JSON = "json"
    TEXT = "text"


class Orchestration(OpenSpec):
    """How agents are run."""

    max_parallel_agents: Annotated[int, Field(ge=1, le=10_000)] = 50
    """The most agents that run at once."""
    checkpoint_interval: Annotated[int, Field(ge=1, le=86_400)] = 30
    """Seconds between two checkpoints of an agent."""
    worktree_isolation: bool = True
    """Whether each agent works in a worktree of its own."""


class ApiFallback(OpenSpec):
    """When paid APIs step in for subscriptions."""

    enabled: bool = True
    """Whether paid APIs step in at all."""
    confirm_above_cost: Annotated[float, Field(ge=0, le=1_000_000)] = 1.00
    """Cost in US dollars above which somebody must confirm."""


class Routing(OpenSpec):
    """Which provider a task goes to."""

    strategy: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$")] = "subscription-first"
    """Name of the strategy that picks a provider."""
    api_fallback: ApiFallback = ApiFallback()
    """When paid APIs step in for subscriptions."""


class Gate(OpenSpec):
    """Whether a quality gate must pass."""

    required: bool = True
    """Whether a result that fails this gate is refused."""


class TestGate(Gate):
    """The test gate."""

    __test__ = False  # the name is the domain's; pytest would collect it
    min_coverage: Annotated[int, Field(ge=0, le=100)] = 80
    """The least coverage by tests, in percent."""


class Quality(OpenSpec):
    """Which gates a result must pass."""

    build: Gate = Gate()
    """The gate of the build."""
    tests: TestGate = TestGate()
    """The gate of the tests."""
    lint: Gate = Gate()
    """The gate of the linters."""


class Logging(OpenSpec):
    """What the applications log."""

    level: LogLevel = LogLevel.INFO
    """The least severe message that is logged."""
    format: LogFormat = LogFormat.JSON
    """The shape of a log line."""


class Tracing(OpenSpec):
    """Where traces are sent."""

    enabled: bool = True
    """Whether traces are sent at all."""
    endpoint: HttpUrl = "http://jaeger-collector:14268/api/traces"
    """URL that traces are sent to."""


class Observability(OpenSpec):
    """Logs and traces."""

    logging: Logging = Logging()
    """What the applications log."""
    tracing: Tracing = Tracing()
    """Where traces are sent."""


class ApplicationConfig(OpenSpec):
    """The applications' own `config.yaml`, but for `server`, which derives from the ports."""

    model_config = ConfigDict(json_schema_extra={"allOf": [{"properties": {"server": False}}]})

    orchestration: Orchestration = Orchestration()
    """How agents are run."""
    routing: Routing = Routing()
    """Which provider a task goes to."""
    quality: Quality = Quality()
    """Which gates a result must pass."""
    observability: Observability = Observability()
    """Logs and traces."""

    @model_validator(mode="after")
    def _server_is_derived(self) -> Self:
        if "server" in (self.model_extra or {}):
            raise ValueError("server is derived from the tiers' ports; remove it")
        return self
