"""The way to the cluster of a stack: the one on which the stack's own provider would deploy it.

The stack's `kubernetes:kubeconfig`, else KUBECONFIG, else ~/.kube/config; in that the command's
context, else the stack's, else the current one. In a pod that has none of these: the pod's own
credentials. What is not as it should be is one line, and another cluster is never taken instead.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from kubernetes import client, config
from kubernetes.config.config_exception import ConfigException
from urllib3 import Retry

from ado_infra.ops.errors import OpsError

IN_CLUSTER: Final = "in-cluster"
"""What `--context` calls the cluster in whose pod a command runs."""
_KUBECONFIG: Final = "kubernetes:kubeconfig"
_CONTEXT: Final = "kubernetes:context"
_CLUSTER: Final = "kubernetes:cluster"
_LISTS: Final = ("clusters", "contexts", "users")


@dataclass(frozen=True, kw_only=True)
class Kubeconfig:
    """Where the clusters are.

    Attributes:
        source: What it is called: its paths, or the stack's setting.
        paths: The files that there are; none when the stack has all of it in its own config.
        document: The whole, when the stack has it in its own config.
        current: The current context.
        contexts: The names of all contexts.
        remedy: What to do where it is wrong.
    """

    source: str
    paths: tuple[Path, ...] = ()
    document: Mapping[str, Any] | None = None
    current: str | None
    contexts: tuple[str, ...]
    remedy: str


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A cluster, and how it is reached.

    Attributes:
        context: What it is called.
        kubeconfig: What names it; None in a pod.
        of_stack: Whether the stack brings its own kubeconfig.
    """

    context: str
    kubeconfig: Kubeconfig | None
    of_stack: bool

    def client(self) -> client.Configuration:
        """What a client is made with.

        Raises OpsError when the context does not lead to an API server.
        """
        made = client.Configuration()
        # A connection is tried again at once; an answer that does not come is not asked for again.
        made.retries = Retry(3, read=0)
        found = self.kubeconfig
        try:
            if found is None:
                config.load_incluster_config(client_configuration=made)
            elif found.document is not None:
                config.load_kube_config_from_dict(
                    found.document, context=self.context, client_configuration=made
                )
            else:
                files = os.pathsep.join(map(str, found.paths))
                config.load_kube_config(files, context=self.context, client_configuration=made)
        except (ConfigException, OSError, LookupError, TypeError, ValueError, AttributeError) as e:
            where = f" of {found.source}" if found else ""
            why = (str(e).splitlines() or [type(e).__name__])[0].rstrip(".")
            remedy = found.remedy if found else "name a --context of a kubeconfig"
            raise OpsError(
                f"Context {self.context}{where} leads to no cluster ({why}): {remedy}."
            ) from None
        return made


def cluster_of(stack: str, settings: Mapping[str, Any], context: str | None = None) -> Cluster:
    """The cluster of a stack with this config, or that of another `context`.

    Raises OpsError when it is not there, or nobody can tell which one it is.
    """
    kubeconfig = _of_stack(stack, settings, context) or _of_environment()
    named = _text(settings, _CONTEXT, "name a --context")
    if settings.get(_CLUSTER) and not context:
        raise OpsError(
            f"{_CLUSTER} of stack {stack} is not followed here: name a --context with that cluster."
        )
    wanted = context or named
    who = "--context" if context else f"{_CONTEXT} of stack {stack}"
    if _in_a_pod() and (context == IN_CLUSTER or (kubeconfig is None and wanted is None)):
        return Cluster(context=IN_CLUSTER, kubeconfig=None, of_stack=False)
    if kubeconfig is None:
        raise _nowhere(f"{who} names {wanted}, and there" if wanted else "There")
    known = ", ".join(kubeconfig.contexts) or "none"
    if wanted is None and kubeconfig.current is None:
        raise OpsError(
            f"{kubeconfig.source} has no current context: name a --context (there is: {known})."
        )
    chosen = wanted or str(kubeconfig.current)
    if chosen not in kubeconfig.contexts:
        who = who if wanted else "its current-context"
        raise OpsError(
            f"There is no context {chosen} in {kubeconfig.source}, which {who} names (there is: "
            f"{known}). Name another --context, or set KUBECONFIG to the file that has it."
        )
    return Cluster(
        context=chosen, kubeconfig=kubeconfig, of_stack=kubeconfig.source.startswith(_KUBECONFIG)
    )


def _of_stack(stack: str, settings: Mapping[str, Any], context: str | None) -> Kubeconfig | None:
    """The kubeconfig that a stack brings: a path, or all of it."""
    source, given = f"{_KUBECONFIG} of stack {stack}", settings.get(_KUBECONFIG)
    if context and _is_encrypted(given):
        return None  # who names a context says where it is
    text = _text(settings, _KUBECONFIG, "set KUBECONFIG to one in a file, and name a --context")
    if text is None:
        return None
    remedy = f"mend {source}"
    if isinstance(given, str) and not ("\n" in given or given.lstrip().startswith("{")):
        path = Path(text).expanduser()
        if not path.exists():
            raise OpsError(f"There is no {path}, which {source} names: {remedy}.")
        return _from_files(f"{source}, {path},", (path,), remedy)
    document = _document(source, given if isinstance(given, dict) else text, remedy)
    return _kubeconfig(source, [document], remedy, document=document)


def _of_environment() -> Kubeconfig | None:
    """That of KUBECONFIG, which may name several files, else the user's own; None without any.

    Raises OpsError when none of those that are named is there.
    """
    named = [Path(part).expanduser() for part in _named_paths()]
    paths = tuple(path for path in named if path.exists())
    if named and not paths:
        there = "is" if len(named) == 1 else "are"
        raise OpsError(
            f"There {there} no {', '.join(map(str, named))}, which KUBECONFIG names: set it to the "
            "kubeconfig of the cluster."
        )
    usual = _usual()
    if not paths and usual.exists():
        paths = (usual,)
    source = os.pathsep.join(map(str, paths))
    remedy = "mend it, or set KUBECONFIG to another file"
    return _from_files(source, paths, remedy) if paths else None


def _named_paths() -> list[str]:
    return [part for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]


def _usual() -> Path:
    return Path("~/.kube/config").expanduser()


def _in_a_pod() -> bool:
    return "KUBERNETES_SERVICE_HOST" in os.environ


def _nowhere(what: str) -> OpsError:
    return OpsError(
        f"{what} is no kubeconfig: neither KUBECONFIG nor {_usual()} is there. Set KUBECONFIG to "
        f"that of the cluster, or in a pod of it name --context {IN_CLUSTER}."
    )


def _from_files(source: str, paths: tuple[Path, ...], remedy: str) -> Kubeconfig:
    documents = [_document(str(path), path, remedy) for path in paths]
    return _kubeconfig(source, documents, remedy, paths=paths)


def _kubeconfig(
    source: str,
    documents: Sequence[Mapping[str, Any]],
    remedy: str,
    *,
    paths: tuple[Path, ...] = (),
    document: Mapping[str, Any] | None = None,
) -> Kubeconfig:
    """Of several files the first that has a context, as the client takes them.

    Of several that name a current context the client takes the last, and `kubectl` and the
    provider the first: so it is said which one is meant.
    """
    contexts = [each["name"] for found in documents for each in found.get("contexts") or ()]
    current = [str(found["current-context"]) for found in documents if found.get("current-context")]
    return Kubeconfig(
        source=source,
        paths=paths,
        document=document,
        current=current[0] if current else None,
        contexts=tuple(dict.fromkeys(map(str, contexts))),
        remedy=remedy,
    )


def _document(source: str, given: Path | Mapping[str, Any] | str, remedy: str) -> dict[str, Any]:
    """What a kubeconfig says. Raises OpsError, without a word of what may be a credential."""
    loaded: Any = given
    try:
        text = given.read_text(encoding="utf-8") if isinstance(given, Path) else given
        loaded = yaml.safe_load(text) if isinstance(text, str) else text
    except OSError as unreadable:
        raise OpsError(f"{source} cannot be read ({unreadable.strerror}): {remedy}.") from None
    except (UnicodeDecodeError, yaml.YAMLError) as broken:
        mark = getattr(broken, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise OpsError(f"{source} is no valid YAML{line}: {remedy}.") from None
    if not loaded:
        raise OpsError(f"{source} is empty: {remedy}.")
    if not isinstance(loaded, dict) or not all(_is_named(loaded.get(key)) for key in _LISTS):
        raise OpsError(f"{source} is no kubeconfig: {remedy}.")
    return loaded


def _is_named(value: object) -> bool:
    """Whether it is a list of things with names, or nothing."""
    return value is None or (
        isinstance(value, list) and all(isinstance(each, dict) and "name" in each for each in value)
    )


def _text(settings: Mapping[str, Any], key: str, remedy: str) -> str | None:
    """A setting in plain text; None when there is none.

    Raises OpsError when it is encrypted: nothing is decrypted here.
    """
    value = settings.get(key)
    if _is_encrypted(value):
        raise OpsError(f"{key} is encrypted in the stack's config, which is not read: {remedy}.")
    return str(value) if value else None


def _is_encrypted(value: object) -> bool:
    return isinstance(value, dict) and value.keys() == {"secure"}
