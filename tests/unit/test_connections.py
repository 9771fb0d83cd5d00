"""Who may talk to whom: what the parts declare is what gets through, and nothing else does."""

from __future__ import annotations

import base64
import functools
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit

import kubernetes_validate
import pytest

from ado_infra.connections import graph, pods_of_parts
from ado_infra.data.postgres.postgres import BLANK_PORT
from ado_infra.kit.connections import Connection, Destination, Outside, Pods, policed, policies
from ado_infra.settings import Part, Settings
from ado_infra.site import Site
from ado_infra.tiers.common import METRICS
from tests.connections import PAGE, written
from tests.support.manifests import selects
from tests.support.network import End, Network
from tests.support.policed import (
    HOSTILE,
    HOSTS,
    OWN,
    STRANGERS,
    asked,
    declared,
    enforced,
    of_recording,
    own_pods,
    recorded,
    settings_with,
)
from tests.support.recording import Recording, merged

SITE = Site("ado", namespace=OWN)
OFF = {"ado:networkPolicies": {"enabled": False}}
POOL = {"image": {"tag": "0.1.0"}, "scaling": {"minReplicas": 1, "maxReplicas": 2}}
MORE: dict[str, Any] = {
    "ado:workerPools": {"gpu": POOL},
    "ado:migrations": {"command": ["migrate"]},
    "ado:postgres": {"backup": {"bucket": "backups"}},
    "ado:redis": {"replicasPerMaster": 1},
}
"""Every part that a stack can do without."""
EXTERNAL: dict[str, Any] = {
    "ado:postgres": {"mode": "external"},
    "ado:redis": {"mode": "external"},
}
STRUCTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "dev": ("dev", {}),
    "prod": ("prod", {}),
    "more": ("dev", MORE),
    "external": ("dev", EXTERNAL),
}
"""What a stack is made of: committed stack, changes."""


def _network(**settings: Any) -> dict[str, Any]:
    return {"ado:networkPolicies": settings}


def _egress(**settings: Any) -> dict[str, Any]:
    return _network(egress=settings)


def _storage(endpoint: str) -> dict[str, Any]:
    return {"ado:objectStorage": {"endpoint": endpoint}}


def _traces(**settings: Any) -> dict[str, Any]:
    return {"ado:config": {"observability": {"tracing": settings}}}


def _gateway(url: str) -> dict[str, Any]:
    gateway = {"url": url, "keySecret": "gateway"}
    return {"ado:workerPools": {"default": {"modelGateway": gateway}}}


def _opening(port: int) -> dict[str, Any]:
    """Each part at a port of its own, so that none is taken for another."""
    rule = {"ports": [port], "why": "a test"}
    places = ({"cidr": "10.1.2.3/32"}, {"namespace": "git"})
    return {
        "ingress": [{"namespace": "elsewhere", **rule}],
        "egress": [{**place, **rule} for place in places],
    }


VARIATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, {}) for name in STRUCTURES},
    "traefik": ("dev", {"ado:edge": {"controller": "traefik"}}),
    "cloud": ("dev", {"ado:edge": {"controller": "cloud"}}),
    "cloud with addresses": (
        "dev",
        {"ado:edge": {"controller": "cloud"}, **_network(ingressAddresses=["10.1.0.0/16"])},
    ),
    "ingress": ("dev", _network(ingressNamespace="my-ingress", ingressAddresses=["10.1.2.3/32"])),
    "monitoring": (
        "dev",
        _network(monitoringNamespace="observability", monitoringAddresses=["192.168.0.0/16"]),
    ),
    "no monitor": ("dev", {"ado:monitoring": {"serviceMonitor": False}}),
    "dns": (
        "dev",
        _egress(dns=[{"cidr": "10.1.2.3/32"}, {"namespace": "elsewhere", "ports": [5353]}]),
    ),
    "no more dns": ("dev", _egress(dns=[])),
    "api server": ("dev", _egress(apiServer=[{"cidr": "10.96.0.1/32", "ports": [443]}])),
    "storage at an address": ("more", _storage("http://10.1.2.3:9000")),
    "storage at an IPv6 address": ("dev", _storage("https://[fd12:3456::1]:9000/base")),
    "storage of the cluster": ("dev", _storage("http://s3.minio.svc.cluster.local:9000")),
    "storage of either": ("dev", _storage("http://s3.minio:9000")),
    "storage beside": ("dev", _storage("http://s3:9000")),
    "storage without TLS": ("dev", _storage("http://s3.example.com")),
    "storage said": (
        "more",
        _egress(objectStorage=[{"cidr": "172.16.5.0/24"}, {"namespace": "minio", "ports": [9000]}]),
    ),
    "traces off": ("dev", _traces(enabled=False)),
    "traces abroad": ("dev", _traces(endpoint="https://traces.example.com:4318/v1")),
    "traces in the cluster": ("dev", _traces(endpoint="http://jaeger.observability.svc:14268/api")),
    "traces said": ("dev", _egress(tracing=[{"namespace": "observability", "ports": [4318]}])),
    "models said": ("more", _egress(modelProviders=[{"cidr": "93.184.215.0/24"}])),
    "no models": ("dev", _egress(modelProviders=[])),
    "models by a gateway": ("dev", _gateway("http://models.elsewhere.svc:2379")),
    "models by a gateway abroad": ("dev", _gateway("https://models.example.com")),
    "models by a gateway that is said": (
        "more",
        _gateway("http://models:80") | _egress(modelGateway=[{"namespace": "git", "ports": [22]}]),
    ),
    "denied": ("dev", _egress(denied=["25.0.0.0/8", "2606:2800::/32"])),
    "no public address": ("dev", _egress(denied=["0.0.0.0/0", "::/0"])),
    "external database": ("external", _egress(database=[{"cidr": "10.1.2.0/24", "ports": [5433]}])),
    "external redis": ("external", _egress(redis=[{"cidr": "10.1.2.0/24"}])),
    "nodes of an external redis": (
        "external",
        {"ado:redis": {"nodes": ["10.1.2.3:7000", "[fd12:3456::1]:7001", "r.example.com:7002"]}},
    ),
    "extra": (
        "more",
        _network(extra={part.value: _opening(8440 + n) for n, part in enumerate(Part)}),
    ),
}
"""Every setting that changes who talks to whom: structure, further changes."""


def _settings(variation: str) -> Settings:
    structure, changes = VARIATIONS[variation]
    stack, made_of = STRUCTURES[structure]
    return settings_with(stack, merged(made_of, changes))


@functools.cache
def _network_of(variation: str) -> Network:
    return enforced(_settings(variation))


def _pods(variation: str) -> dict[str, End]:
    stack, made_of = STRUCTURES[VARIATIONS[variation][0]]
    return own_pods(recorded(stack, json.dumps(made_of)))


@pytest.mark.parametrize("variation", VARIATIONS)
def test_what_is_declared_gets_through_and_nothing_else(variation: str) -> None:
    settings, own = _settings(variation), _pods(variation)
    network, connections = _network_of(variation), graph(SITE, settings)
    ports, others = asked(connections, own.values()), (*STRANGERS, *HOSTS)
    ends = {end.name: end for end in (*own.values(), *others)}
    pairs = [*itertools.product(own, ends), *itertools.product([e.name for e in others], own)]
    through = {
        (source, target): {
            each for each in ports if network.lets_through(ends[source], ends[target], *each)
        }
        for source, target in pairs
    }
    assert through == {
        (source, target): declared(connections, ends[source], ends[target])
        for source, target in pairs
    }
    assert sum(map(bool, through.values())) > len(own)


@pytest.mark.parametrize("variation", VARIATIONS)
def test_every_pod_of_the_platform_is_policed_and_no_other(variation: str) -> None:
    own, network = _pods(variation), _network_of(variation)
    alone = Network([p for p in network.policies if "deny" in str(p["metadata"])], {OWN: {}})
    for pod in own.values():
        assert alone.polices(pod), pod.name
        assert not any(
            alone.lets_through(*pair, port)
            for port in (1, 443, 3000)
            for pair in ((pod, HOSTS[0]), (HOSTS[0], pod))
        )
    assert not [each.name for each in STRANGERS if network.polices(each)]


@pytest.mark.parametrize("variation", VARIATIONS)
def test_no_worker_reaches_what_is_hostile_unless_that_is_declared(variation: str) -> None:
    own, network = _pods(variation), _network_of(variation)
    workers = [pod for name, pod in own.items() if name.startswith("ado-worker")]
    targets = [*STRANGERS, *(each for each in HOSTS if each.name in HOSTILE)]
    reached = {
        (target.name, port)
        for worker in workers
        for target in targets
        for port in (22, 80, 443, 2379, 4318, 6379, 6443, 7000, 8443, 9000, 10250, 14268)
        if network.lets_through(worker, target, port)
    }
    assert reached == REACHED.get(variation, BESIDE)


BESIDE = {("somebody beside", 14268), ("certificate solver", 14268)}
"""Traces go to a collector in the platform's own namespace, unless a stack says otherwise."""
OF_A_HOST = {"metadata", "metadata by IPv6", "Azure's services of a host", "link-local"}
ANYWHERE = {each.name for each in STRANGERS} | set(HOSTILE) - OF_A_HOST
REACHED: dict[str, set[tuple[str, int]]] = {
    "storage at an address": {*BESIDE, ("private 10", 9000)},
    "storage at an IPv6 address": {*BESIDE, ("unique local", 9000)},
    "storage of the cluster": {*BESIDE, ("minio", 9000)},
    "models by a gateway": {*BESIDE, ("somebody elsewhere", 2379)},
    "models by a gateway that is said": {*BESIDE, ("git", 22)},
    "storage of either": {*BESIDE, ("minio", 9000)},
    "storage beside": {*BESIDE, ("somebody beside", 9000), ("certificate solver", 9000)},
    "storage said": {*BESIDE, ("private 172", 443), ("minio", 9000)},
    "traces off": set(),
    "traces abroad": set(),
    "traces in the cluster": {("other prometheus", 14268)},
    "traces said": {("other prometheus", 4318)},
    # Not said where: the program warns (ado_infra/gaps.py).
    "external": {*BESIDE, *((name, 6379) for name in ANYWHERE)},
    "external database": {*BESIDE, *((name, 6379) for name in ANYWHERE)},
    "external redis": {*BESIDE, ("private 10", 6379)},
    "nodes of an external redis": {*BESIDE, ("private 10", 7000)},
    "extra": {*BESIDE, ("private 10", 8443), ("git", 8443)},
}
"""Variation → what of it a worker reaches after all, because the stack says so."""
BETWEEN = {
    "ado-api-gateway": {"ado-orchestrator": {3000}, "postgresql": {5432}, "redis": {6379}},
    "ado-dashboard": {},
    "ado-orchestrator": {"postgresql": {5432}, "redis": {6379}},
    "ado-worker": {"ado-orchestrator": {3000}, "redis": {6379}},
    "ado-worker-gpu": {"ado-orchestrator": {3000}, "redis": {6379}},
    "ado-migrations": {"postgresql": {5432}},
    "postgresql": {"postgresql": {5431, 5432}},
    "postgresql-backup": {"postgresql": {5432}},
    "postgresql-state-begin": {"postgresql": {5432}},
    "redis": {"redis": {6379, 16379}},
    "redis-cluster-create": {"redis": {6379}},
}
"""Who reaches whom inside a platform that has every part, written by hand."""
FROM_OUTSIDE = {
    "ingress controller": {"ado-api-gateway": {3000, 3001}, "ado-dashboard": {3000}},
    "prometheus": {
        name: {9090}
        for name in (
            *("ado-api-gateway", "ado-dashboard", "ado-orchestrator", "ado-worker"),
            "ado-worker-gpu",
        )
    },
}


LISTENING = (22, 80, 443, 3000, 3001, 5431, 5432, 6379, 8443, 9090, 14268, 16379)


def _reaches(network: Network, source: End, targets: Iterable[End]) -> dict[str, set[int]]:
    found = {
        target.name: {port for port in LISTENING if network.lets_through(source, target, port)}
        for target in targets
    }
    return {name: ports for name, ports in found.items() if ports}


def test_a_platform_with_every_part_is_connected_as_written_here() -> None:
    network, own = _network_of("more"), _pods("more")
    assert {name: _reaches(network, pod, own.values()) for name, pod in own.items()} == BETWEEN
    from_outside = {each.name: _reaches(network, each, own.values()) for each in STRANGERS}
    assert {name: reached for name, reached in from_outside.items() if reached} == FROM_OUTSIDE


def test_names_are_asked_for_by_both_protocols_by_whoever_reaches_anything() -> None:
    network, own = _network_of("more"), _pods("more")
    servers = [end for end in (*STRANGERS, *HOSTS) if "DNS" in end.name or end.name == "kube-dns"]
    assert len(servers) == 2
    for name, pod in own.items():
        asks = {
            network.lets_through(pod, server, 53, protocol)
            for server in servers
            for protocol in ("UDP", "TCP")
        }
        assert asks == {name != "ado-dashboard"}, name


def test_the_job_that_asks_the_api_server_reaches_it_and_no_other_pod_does() -> None:
    network, own = _network_of("more"), _pods("more")
    (server,) = (each for each in HOSTS if "API server" in each.name)
    reach = {name for name, pod in own.items() if network.lets_through(pod, server, 6443)}
    assert reach == {"postgresql-state-begin"}


def test_what_a_stack_calls_private_is_no_public_address() -> None:
    (host,) = (each for each in HOSTS if "by setting" in each.name)
    (public,) = (each for each in HOSTS if each.name == "public")
    worker = _pods("dev")["ado-worker"]

    def reached(variation: str) -> list[End]:
        network = _network_of(variation)
        return [end for end in (host, public) if network.lets_through(worker, end, 443)]

    assert reached("dev") == [host, public]
    assert reached("denied") == [public]
    assert reached("no public address") == []


def test_parts_are_those_that_connections_are_declared_for() -> None:
    settings = _settings("more")
    of_parts = {pods.name for each in pods_of_parts(SITE, settings).values() for pods in each}
    once = {"postgresql-state", "redis-cluster-create"}  # Jobs that no stack has anything to add to
    assert {pods.name for pods in policed(graph(SITE, settings))} == of_parts | once


def test_ports_are_those_that_pods_listen_at() -> None:
    own = _pods("more")
    for each in graph(SITE, _settings("more")):
        party = each.target.party
        if isinstance(party, Pods):
            (pod,) = (p for p in own.values() if selects(party.labels, p.labels))
            assert set(each.target.ports) <= {*pod.ports.values(), BLANK_PORT}


def test_an_empty_volume_is_announced_where_the_policy_lets_it_through() -> None:
    scripts = resources.files("ado_infra") / "data" / "postgres" / "files"
    assert f"\nblank_port={BLANK_PORT} " in (scripts / "common.sh").read_text()


def test_who_answers_nowhere_is_refused_because_no_ports_are_all_ports() -> None:
    with pytest.raises(ValueError, match="x answers at no port"):
        Destination(party=Outside(name="x", where=()), ports=())


def test_who_is_nowhere_is_in_no_rule_because_no_peers_are_all_peers() -> None:
    nowhere = Destination(party=Outside(name="x", where=()), ports=(1,))
    pods = Pods(name="a", labels={"app": "a"})
    own = Destination(party=pods, ports=(1,))
    come = Connection(source=nowhere.party, target=own, why="none")
    spec = policies([*pods.to(nowhere, why="none"), come])["a-netpol"]
    assert (spec.ingress, spec.egress) == (None, None)


@pytest.mark.parametrize("variation", ["prod", "external", "storage at an IPv6 address", "extra"])
def test_every_policy_is_one_that_the_api_server_takes(variation: str) -> None:
    manifests = _network_of(variation).policies
    assert len(manifests) >= len(("gateway", "dashboard", "orchestrator", "worker", "deny"))
    for manifest in manifests:
        kubernetes_validate.validate(dict(manifest), "1.37", strict=True)
        assert manifest["spec"]["policyTypes"] == ["Ingress", "Egress"]
        for block in _blocks(manifest):
            whole = ip_network(block["cidr"])
            for excepted in map(ip_network, block.get("except", ())):
                assert whole.supernet_of(excepted)  # pyright: ignore[reportArgumentType] - of one kind
                assert whole != excepted


def _blocks(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        if "ipBlock" in value:
            yield value["ipBlock"]
        for inner in value.values():
            yield from _blocks(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _blocks(inner)


@pytest.fixture(scope="module", params=["dev", "prod", "more", "external"])
def whole(request: pytest.FixtureRequest) -> Recording:
    """A whole platform with its policies."""
    stack, made_of = STRUCTURES[request.param]
    return recorded(stack, json.dumps(made_of))


class TestPlatform:
    def test_its_policies_are_those_of_its_graph(self, whole: Recording) -> None:
        found = {p["metadata"]["name"] for p in whole.of_kind("NetworkPolicy")}
        pods = own_pods(whole)
        network = of_recording(whole)
        assert "ado-default-deny" in found
        assert all(network.polices(pod) for pod in pods.values())

    def test_what_pods_are_told_to_reach_they_reach(self, whole: Recording) -> None:
        network, own = of_recording(whole), own_pods(whole)
        told = [(name, *where) for name, where in _told(whole)]
        unreached = [
            (name, host, port)
            for name, host, port in told
            if not any(network.lets_through(own[name], end, port) for end in _ends(whole, host))
        ]
        assert not unreached
        assert len(told) > 6

    def test_what_leads_to_them_gets_in(self, whole: Recording) -> None:
        network, own = of_recording(whole), own_pods(whole)
        by_name = {each.name: each for each in STRANGERS}
        (ingress,) = whole.of_kind("Ingress")
        for path in ingress["spec"]["rules"][0]["http"]["paths"]:
            backend = path["backend"]["service"]
            end, port = _behind(whole, backend["name"], backend["port"]["number"])
            assert network.lets_through(by_name["ingress controller"], own[end], port)
        for name, pod in own.items():
            if METRICS.name in pod.ports:
                port = pod.ports[METRICS.name]
                assert network.lets_through(by_name["prometheus"], pod, port), name

    def test_nothing_is_denied_before_what_is_let_through_and_no_pod_made_before(
        self, whole: Recording
    ) -> None:
        made = {r.key[1]: r for r in whole.objects if r.key[0] == "NetworkPolicy"}
        deny = made.pop("ado-default-deny")
        assert {r.urn for r in made.values()} <= deny.dependencies
        for component in whole.resources:
            if component.type in {"ado:index:Stores", "ado:index:ApiGateway"}:
                assert deny.urn in component.dependencies


def test_other_objects_are_the_same_with_policies_and_without() -> None:
    without, with_them = recorded("dev", json.dumps(OFF)), recorded("dev", "{}")
    assert without.of_kind("NetworkPolicy") == []
    rest = {r.key: r.manifest for r in with_them.objects if r.key[0] != "NetworkPolicy"}
    assert rest == {r.key: r.manifest for r in without.objects}


def _told(recording: Recording) -> Iterator[tuple[str, tuple[str, int]]]:
    """Pod, and a host and port that one of its variables leads to, or the Secret behind it."""
    for name, container in _containers(recording):
        told = {v["name"]: _read(recording, v) for v in container.get("env") or ()}
        for variable, text in told.items():
            parts = urlsplit(text)
            if parts.scheme in {"http", "https", "postgresql", "redis", "rediss"}:
                yield name, (str(parts.hostname), parts.port or DEFAULT_PORTS[parts.scheme])
            elif variable == "REDIS_CLUSTER_NODES":
                for node in text.split(","):
                    host, _, port = node.rpartition(":")
                    yield name, (host, int(port))
        if "PGHOST" in told:
            yield name, (told["PGHOST"], int(told["PGPORT"]))
        if host := told.get("HEADLESS_SERVICE"):
            yield name, (host, 6379 if "redis" in host else 5432)


DEFAULT_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "redis": 6379, "rediss": 6379}


def _containers(recording: Recording) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for kind in ("Deployment", "StatefulSet", "Job", "CronJob"):
        for manifest in recording.of_kind(kind):
            spec = manifest["spec"]
            spec = spec["jobTemplate"]["spec"] if kind == "CronJob" else spec
            pod = spec["template"]["spec"]
            name = manifest["metadata"]["name"]
            name = re.sub(r"-[0-9a-f]{10}$", "", name) if kind == "Job" else name
            for container in (*(pod.get("initContainers") or ()), *pod["containers"]):
                yield name, container


def _read(recording: Recording, variable: Mapping[str, Any]) -> str:
    reference = (variable.get("valueFrom") or {}).get("secretKeyRef")
    if reference is None:
        return str(variable.get("value", ""))
    data = recording.get("Secret", reference["name"])["data"]
    return base64.b64decode(data[reference["key"]]).decode()


def _ends(recording: Recording, host: str) -> list[End]:
    """Who may answer to a host: the pods behind a Service of ours, or somebody outside."""
    service, _, rest = host.partition(".")
    name = rest or service
    services = {each["metadata"]["name"]: each for each in recording.of_kind("Service")}
    if name not in services and service not in services:
        return [each for each in HOSTS if each.name == "public"]
    found = services.get(name) or services[service]
    selector = {k: v for k, v in found["spec"]["selector"].items() if k == "app"}
    return [pod for pod in own_pods(recording).values() if selects(selector, pod.labels)]


def _behind(recording: Recording, service: str, port: int) -> tuple[str, int]:
    """The workload that a Service leads to, and the container port behind one of its own."""
    found = recording.get("Service", service)["spec"]
    (target,) = (p["targetPort"] for p in found["ports"] if int(p["port"]) == port)
    (pod,) = _ends(recording, service)
    return pod.name, pod.ports[target]


def test_the_table_of_connections_is_that_of_the_graph() -> None:
    page = PAGE.read_text()
    assert page == written(page), "docs/security.md is stale; run: make docs"
