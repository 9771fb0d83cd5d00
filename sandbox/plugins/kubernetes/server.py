"""The `kubernetes` provider: the engine's calls, answered with the modules beside this one."""

from __future__ import annotations

import importlib.metadata
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager

from sandbox.plugins.kubernetes.apply import AlreadyExistsError, Writer
from sandbox.plugins.kubernetes.cluster import ApiError, Cluster, Object, UnknownKindError
from sandbox.plugins.kubernetes.difference import difference
from sandbox.plugins.kubernetes.inputs import (
    adopt_name,
    assign_name,
    invalid,
    keep_managed_by,
    kind_of,
    require_covered,
)
from sandbox.plugins.kubernetes.objects import (
    DELETION_PROPAGATION,
    INITIAL_API_VERSION,
    INPUTS,
    REPLACE_UNREADY,
    annotation,
    field_manager,
    id_of,
    imported_inputs,
    live_inputs,
    manifest,
    mark_secrets,
    name_of,
    namespace_of,
    redact,
    state,
)
from sandbox.plugins.kubernetes.readiness import job
from sandbox.plugins.kubernetes.settings import Settings, refused
from sandbox.plugins.kubernetes.waiting import NotReadyError, Waiter, timeout_of
from sandbox.plugins.provider import (
    Change,
    Difference,
    Failure,
    InitializationFailedError,
    Naming,
    Provider,
    ProviderError,
    Resource,
)
from sandbox.plugins.values import UNKNOWN, Properties, has_unknown, reveal, secret_texts

_FORBIDDEN = 403
_NOT_FOUND = 404


class KubernetesProvider(Provider):
    """See the package for what is covered and what is not."""

    name = "kubernetes"
    version = importlib.metadata.version("pulumi-kubernetes")

    def __init__(self) -> None:
        self.settings = Settings()
        self.cluster = Cluster()
        self._cancelled = threading.Event()

    def check_config(self, inputs: Properties) -> list[Failure]:  # noqa: D102
        return refused(inputs)

    def diff_config(self, old: Properties, new: Properties) -> Difference:
        """Another context is another cluster: everything is made anew there."""
        changes = super().diff_config(old, new).changes
        return Difference(
            [
                Change(change.path, change.kind, replaces=change.path == "context")
                for change in changes
            ]
        )

    def configure(self, settings: Mapping[str, str]) -> None:  # noqa: D102
        self.settings = Settings.parse(settings)
        self.cluster = Cluster(self.settings.kubeconfig, self.settings.context)

    def check(  # noqa: D102
        self, resource: Resource, old: Properties, new: Properties, naming: Naming
    ) -> tuple[Properties, list[Failure]]:
        plain = reveal(new)
        require_covered(resource, plain)
        failures = list(invalid(plain))
        metadata = plain.setdefault("metadata", {})
        if failures or metadata is UNKNOWN:
            return new, failures
        if old:
            old_metadata = reveal(old).get("metadata") or {}
            adopt_name(metadata, old_metadata)
            keep_managed_by(metadata, old_metadata)
        elif not metadata.get("name"):
            failures += assign_name(metadata, resource, naming)
        if not metadata.get("namespace") and self._is_namespaced(plain):
            metadata["namespace"] = self.settings.namespace or self.cluster.default_namespace
        return mark_secrets(plain, new), failures

    def diff(self, resource: Resource, old: Properties, new: Properties) -> Difference:  # noqa: ARG002, D102
        plain = reveal(new)
        return difference(reveal(old), plain, self.settings, unready=self._is_unready(plain))

    def create(  # noqa: D102
        self, resource: Resource, inputs: Properties, timeout: float, *, preview: bool
    ) -> tuple[str, Properties]:
        if preview and self._cannot_preview(inputs):
            return "", inputs
        obj, manager = manifest(inputs), field_manager(resource.urn, inputs)
        writer = self._writer(resource, manager, preview=preview)
        with _redacted(inputs):
            try:
                live = writer.create(obj, upsert=self.settings.upsert)
            except AlreadyExistsError:
                if preview:  # a replacement: the old object is deleted before
                    return "", inputs
                raise
            except ApiError as error:
                # A preview of what lies in a namespace that does not exist yet.
                if preview and error.status in {_FORBIDDEN, _NOT_FOUND}:
                    return "", inputs
                raise _failed("creating", obj, error) from None
        if preview:
            live.pop("status", None)
            return "", state(live, inputs, manager, obj["apiVersion"])
        outputs = self._await(
            resource, live, inputs, manager, initial_api_version=obj["apiVersion"], timeout=timeout
        )
        return id_of(live), outputs

    def read(  # noqa: D102
        self, resource: Resource, id_: str, inputs: Properties, outputs: Properties
    ) -> tuple[str, Properties, Properties]:
        known = reveal(inputs) or reveal(outputs)
        api_version, kind = known.get("apiVersion"), known.get("kind")
        if not (api_version and kind):
            api_version, kind = kind_of(resource)
        namespace, _, name = id_.rpartition("/")
        try:
            where = self.cluster.kind(api_version, kind)
        except UnknownKindError:
            return "", {}, {}
        namespace = namespace or self.settings.namespace or self.cluster.default_namespace
        live = self.cluster.get(where.path(namespace, name))
        if live is None:
            return "", {}, {}
        found = live_inputs(live, inputs) if inputs else imported_inputs(live)
        manager = field_manager(resource.urn, found, reveal(outputs))
        initial = str(reveal(outputs).get(INITIAL_API_VERSION, api_version))
        # What the program only reads has no inputs, also when it is refreshed: a diff would show
        # them all as taken away.
        own = found if inputs or not outputs else {}
        return id_, own, state(live, found, manager, initial)

    def update(  # noqa: D102
        self,
        resource: Resource,
        outputs: Properties,
        new: Properties,
        ignore_changes: Sequence[str],
        timeout: float,
        *,
        preview: bool,
    ) -> Properties:
        if preview and self._cannot_preview(new):
            return new
        obj, manager = manifest(new), field_manager(resource.urn, new, reveal(outputs))
        initial = str(reveal(outputs).get(INITIAL_API_VERSION, obj["apiVersion"]))
        writer = self._writer(resource, manager, preview=preview)
        with _redacted(new):
            try:
                live = writer.update(obj, ignore_changes)
            except ApiError as error:
                if preview and error.status == _FORBIDDEN:
                    return new
                raise _failed("updating", obj, error) from None
        if preview:
            return state(live, new, manager, initial)
        return self._await(
            resource, live, new, manager, initial_api_version=initial, timeout=timeout
        )

    def delete(self, resource: Resource, id_: str, outputs: Properties, timeout: float) -> None:  # noqa: D102
        obj = reveal(outputs)
        inputs = obj.get(INPUTS) or obj
        try:
            kind = self.cluster.kind(obj["apiVersion"], obj["kind"])
        except UnknownKindError:
            return  # its definition is gone, and it with it
        namespace, _, name = id_.rpartition("/")
        asked = annotation(inputs, DELETION_PROPAGATION).capitalize()
        propagation = asked if asked in {"Orphan", "Background"} else "Foreground"
        try:
            self.cluster.delete(kind.path(namespace, name), propagation)
        except ApiError as error:
            if error.status == _NOT_FOUND:
                return
            raise _failed("deleting", obj, error) from None
        try:
            self._waiter(resource).until_gone(obj, timeout_of(inputs, timeout))
        except NotReadyError as error:
            raise ProviderError("\n  ".join([str(error), *error.reasons])) from None

    def cancel(self) -> None:  # noqa: D102
        self._cancelled.set()
        self.cluster.interrupt()

    def _await(
        self,
        resource: Resource,
        live: Object,
        inputs: Properties,
        manager: str,
        *,
        initial_api_version: str,
        timeout: float,
    ) -> Properties:
        """The outputs once the object is ready; else keeps it in the state, and says why."""
        error: Exception | None = None
        reasons: list[str] = []
        try:
            self._waiter(resource).until_ready(live, timeout_of(reveal(inputs), timeout))
        except NotReadyError as not_ready:
            error, reasons = not_ready, not_ready.reasons
        except ProviderError as unwatchable:  # it exists all the same
            error = unwatchable
        outputs = state(self._current(live), inputs, manager, initial_api_version)
        if error is None:
            return outputs
        hidden = secret_texts(inputs)
        # The engine shows the reasons and nothing else.
        reasons = [redact(reason, hidden) for reason in (str(error), *reasons)]
        raise InitializationFailedError(
            reasons[0], id_=id_of(live), properties=outputs, reasons=reasons
        )

    def _current(self, live: Object) -> Object:
        """The object as it is by now; as it was, should the API server not say."""
        try:
            kind = self.cluster.kind(live["apiVersion"], live["kind"])
            return self.cluster.get(kind.path(namespace_of(live), name_of(live))) or live
        except ProviderError:
            return live

    def _writer(self, resource: Resource, manager: str, *, preview: bool) -> Writer:
        return Writer(
            self.cluster,
            manager,
            warn=lambda text: self.engine.warning(resource.urn, text),
            force=self.settings.patch_force,
            dry_run=preview,
        )

    def _waiter(self, resource: Resource) -> Waiter:
        return Waiter(
            self.cluster, lambda text: self.engine.status(resource.urn, text), self._cancelled
        )

    def _cannot_preview(self, inputs: Properties) -> bool:
        """Whether the API server could not judge it: values or the kind are yet to come."""
        if has_unknown(inputs):
            return True
        plain = reveal(inputs)
        try:
            self.cluster.kind(plain["apiVersion"], plain["kind"])
        except UnknownKindError:
            return True
        return False

    def _is_unready(self, plain: Object) -> bool:
        """Whether it is a Job that has not completed, and is to be made anew then."""
        if plain.get("kind") != "Job" or annotation(plain, REPLACE_UNREADY) != "true":
            return False
        kind = self.cluster.kind(plain["apiVersion"], "Job")
        live = self.cluster.get(kind.path(namespace_of(plain), name_of(plain)))
        return live is not None and not job(live).ready

    def _is_namespaced(self, plain: Object) -> bool:
        try:
            return self.cluster.kind(plain["apiVersion"], plain["kind"]).namespaced
        except UnknownKindError:
            return True  # a custom resource whose definition is yet to come


@contextmanager
def _redacted(inputs: Properties) -> Generator[None]:
    """Keeps the secrets of the inputs out of whatever the API server says about them."""
    try:
        yield
    except ProviderError as error:
        raise ProviderError(redact(str(error), secret_texts(inputs))) from None


def _failed(doing: str, obj: Object, error: ApiError) -> ProviderError:
    return ProviderError(f"{doing} {obj['kind']} {id_of(obj)} was refused: {error}")
