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
    """How agents are run; `checkpoint_interval` in seconds."""

    max_parallel_agents: Annotated[int, Field(ge=1, le=10_000)] = 50
    checkpoint_interval: Annotated[int, Field(ge=1, le=86_400)] = 30
    worktree_isolation: bool = True


class ApiFallback(OpenSpec):
    """When paid APIs step in for subscriptions; `confirm_above_cost` in US dollars."""

    enabled: bool = True
    confirm_above_cost: Annotated[float, Field(ge=0, le=1_000_000)] = 1.00


class Routing(OpenSpec):
    """Which provider a task goes to."""

    strategy: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$")] = "subscription-first"
    api_fallback: ApiFallback = ApiFallback()


class Gate(OpenSpec):
    """Whether a quality gate must pass."""

    required: bool = True


class TestGate(Gate):
    """The test gate; `min_coverage` in percent."""

    __test__ = False  # the name is the domain's; pytest would collect it
    min_coverage: Annotated[int, Field(ge=0, le=100)] = 80


class Quality(OpenSpec):
    """Which gates a result must pass."""

    build: Gate = Gate()
    tests: TestGate = TestGate()
    lint: Gate = Gate()


class Logging(OpenSpec):
    """What the applications log."""

    level: LogLevel = LogLevel.INFO
    format: LogFormat = LogFormat.JSON


class Tracing(OpenSpec):
    """Where traces are sent."""

    enabled: bool = True
    endpoint: HttpUrl = "http://jaeger-collector:14268/api/traces"


class Observability(OpenSpec):
    """Logs and traces."""

    logging: Logging = Logging()
    tracing: Tracing = Tracing()


class ApplicationConfig(OpenSpec):
    """The applications' own `config.yaml`, but for `server`, which derives from the ports."""

    orchestration: Orchestration = Orchestration()
    routing: Routing = Routing()
    quality: Quality = Quality()
    observability: Observability = Observability()

    @model_validator(mode="after")
    def _server_is_derived(self) -> Self:
        if "server" in (self.model_extra or {}):
            raise ValueError("server is derived from the tiers' ports; remove it")
        return self
