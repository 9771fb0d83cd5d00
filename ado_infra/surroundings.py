"""Who a platform talks to and is not: where that is on the network, by the stack's settings.

A NetworkPolicy knows addresses and namespaces, and no names: what is known by its name alone is
any address that it may have.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import SplitResult, urlsplit

from ado_infra.kit.connections import (
    Addresses,
    Connection,
    Destination,
    Neighbours,
    Outside,
    Pods,
    Protocol,
)
from ado_infra.settings import (
    Controller,
    Mode,
    Openings,
    Place,
    ProxySettings,
    Settings,
    Somewhere,
)

HTTP: Final = 80
HTTPS: Final = 443
DNS_PORT: Final = 53
API_SERVER_PORTS: Final = (443, 6443)
"""The Service's, and that of the server behind it: which of the two is policed differs."""
DATABASE_PORT: Final = 5432
REDIS_PORT: Final = 6379

SPECIAL: Final = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
    *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15"),
    *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
    "168.63.129.16/32",
    *("2001::/32", "2001:db8::/32", "2002::/16"),
)
"""What is no public address (IANA, "Special-Purpose Address Registry"); and Azure's own services of
a host, which have one. Of IPv6 what is in `2000::/3`: all else there is no public address either,
nor are tunnels to IPv4."""
_PUBLIC: Final = ("0.0.0.0/0", "2000::/3")
_OF_A_HOST: Final = (
    *("127.0.0.0/8", "169.254.0.0/16", "168.63.129.16/32"),
    *("::1/128", "fe80::/10", "fd00:ec2::254/128", "fd20:ce::254/128"),
)
"""A host's own, and where clouds tell it its credentials."""
_EVERYWHERE: Final = ("0.0.0.0/0", "::/0")
_NAMESPACES: Final = {Controller.NGINX: "ingress-nginx", Controller.TRAEFIK: "traefik"}
"""Where a controller is usually installed."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Who a platform talks to outside of it.

    Attributes:
        ingress: Who brings requests from outside.
        monitoring: Who scrapes.
        dns: Where names are resolved.
        api_server: The API server.
        database: An external PostgreSQL; none where it is the platform's own.
        redis: An external Redis; likewise.
        object_storage: Where checkpoints, artifacts and backups go.
        model_providers: What workers reach beside the platform that ask models themselves.
        model_gateways: What the others ask, by its URL.
        tracing: Where traces are sent.
        proxy: What takes requests that leave the cluster; none where the stack has none.
    """

    ingress: Outside
    monitoring: Outside
    dns: tuple[Destination, ...]
    api_server: tuple[Destination, ...]
    database: tuple[Destination, ...]
    redis: tuple[Destination, ...]
    object_storage: tuple[Destination, ...]
    model_providers: tuple[Destination, ...]
    model_gateways: Mapping[str, tuple[Destination, ...]]
    tracing: tuple[Destination, ...]
    proxy: tuple[Destination, ...]


def surroundings(settings: Settings) -> Surroundings:
    """Those of a stack."""
    network, tracing = settings.network_policies, settings.config.observability.tracing
    egress = network.egress
    public = _public(egress.denied)
    return Surroundings(
        ingress=_ingress(settings),
        monitoring=Outside(
            name="monitoring",
            where=(
                Neighbours(namespace=network.monitoring_namespace),
                *_ranges(network.monitoring_addresses),
            ),
        ),
        dns=_dns(egress.dns),
        api_server=_at("API server", egress.api_server, API_SERVER_PORTS, _ANYWHERE),
        database=_at("external PostgreSQL", egress.database, (DATABASE_PORT,), _ANYWHERE)
        if settings.postgres.mode is Mode.EXTERNAL
        else (),
        redis=_redis(settings.redis.nodes, egress.redis)
        if settings.redis.mode is Mode.EXTERNAL
        else (),
        object_storage=_of_url(
            "object storage", egress.object_storage, settings.object_storage.endpoint, public
        ),
        model_providers=_at("model providers", egress.model_providers, (HTTPS,), public),
        model_gateways={
            pool.model_gateway.url: _of_url(
                "model gateway", egress.model_gateway, pool.model_gateway.url, public
            )
            for pool in settings.worker_pools.values()
            if pool.model_gateway
        },
        tracing=_of_url("tracing", egress.tracing, tracing.endpoint, public)
        if tracing.enabled
        else (),
        proxy=_proxies(settings.network.proxy, egress.proxy),
    )


def leads_to_providers(destination: Destination) -> bool:
    """Whether it is any public address at the port of model providers."""
    anywhere = (*_PUBLIC, *_EVERYWHERE)
    if not isinstance(destination.party, Outside) or HTTPS not in destination.ports:
        return False
    where = destination.party.where
    return any(isinstance(each, Addresses) and each.cidr in anywhere for each in where)


def opened(rules: Openings, pods: Pods) -> Iterator[Connection]:
    """What a stack lets through beside what is declared, for pods of one part."""
    for each in rules.egress:
        other = Outside(name=each.why, where=(_peer(each),))
        yield from pods.to(Destination(party=other, ports=each.ports), why=each.why)
    for each in rules.ingress:
        other = Outside(name=each.why, where=(_peer(each),))
        target = Destination(party=pods, ports=each.ports)
        yield Connection(source=other, target=target, why=each.why)


def _ingress(settings: Settings) -> Outside:
    network = settings.network_policies
    namespace = network.ingress_namespace or _NAMESPACES.get(settings.edge.controller)
    where = [
        *([Neighbours(namespace=namespace)] if namespace else []),
        *_ranges(network.ingress_addresses),
    ]
    # Where a cloud's load balancer sends from only the stack can say; until then all is let in.
    return Outside(name="ingress", where=tuple(where or _ranges(_EVERYWHERE)))


def _dns(given: Iterable[Place]) -> tuple[Destination, ...]:
    """By both protocols: an answer that is too long for UDP is asked for again by TCP."""
    kube_dns = Outside(
        name="cluster DNS",
        where=(Neighbours(namespace="kube-system", labels={"k8s-app": "kube-dns"}),),
    )
    both = (Protocol.UDP, Protocol.TCP)
    places = [
        Destination(party=kube_dns, ports=(DNS_PORT,)),
        *_places("cluster DNS", given, (DNS_PORT,)),
    ]
    return tuple(replace(each, protocols=both) for each in places)


def _redis(nodes: Sequence[str], given: tuple[Place, ...] | None) -> tuple[Destination, ...]:
    """Where it is not said, by its nodes: one with a name may have any address."""
    name, ports = "external Redis", tuple(int(each.rpartition(":")[2]) for each in nodes)
    if given is not None or not nodes:
        return _at(name, given, tuple(dict.fromkeys(ports)) or (REDIS_PORT,), _ANYWHERE)
    hosts = [each.rpartition(":")[0].strip("[]") for each in nodes]
    where = [(_exactly(host) or _ANYWHERE, port) for host, port in zip(hosts, ports, strict=True)]
    return tuple(
        Destination(party=Outside(name=name, where=places), ports=(port,))
        for places, port in dict.fromkeys(where)
    )


def _proxies(settings: ProxySettings, given: tuple[Place, ...] | None) -> tuple[Destination, ...]:
    """A proxy's name is known to the company's own DNS, so it may be any address."""
    urls = [urlsplit(url) for url in (settings.https, settings.http) if url]
    if given is not None:
        ports = tuple(dict.fromkeys(_port(url) for url in urls))
        return tuple(_places("proxy", given, ports)) if urls else ()
    each = ((_exactly(url.hostname or "") or _ANYWHERE, _port(url)) for url in urls)
    return tuple(
        Destination(party=Outside(name="proxy", where=where), ports=(port,))
        for where, port in dict.fromkeys(each)
    )


def _of_url(
    name: str,
    given: tuple[Place, ...] | None,
    url: str,
    public: tuple[Addresses, ...],
) -> tuple[Destination, ...]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    return _at(name, given, (_port(parts),), _exactly(host) or _named(host, public))


def _port(url: SplitResult) -> int:
    return url.port or (HTTPS if url.scheme == "https" else HTTP)


def _named(host: str, public: tuple[Addresses, ...]) -> tuple[Neighbours | Addresses, ...]:
    """Where a name may lead: by its form to a Service of the cluster, or out of it, or either."""
    _, *domain = host.split(".")
    if not domain:
        return (Neighbours(namespace=None),)
    inside = Neighbours(namespace=domain[0])
    if domain[1:2] == ["svc"]:
        return (inside,)
    return (inside, *public) if len(domain) == 1 else public


def _exactly(host: str) -> tuple[Addresses, ...]:
    """The address that a host is; nothing for a name."""
    try:
        address = ip_address(host)
    except ValueError:
        return ()
    return (Addresses(cidr=f"{address}/{address.max_prefixlen}"),)


def _at(
    name: str,
    given: tuple[Place, ...] | None,
    ports: tuple[int, ...],
    otherwise: tuple[Neighbours | Addresses, ...],
) -> tuple[Destination, ...]:
    """Where a stack says that it is, which may be nowhere; else where it may be."""
    if given is not None:
        return tuple(_places(name, given, ports))
    return (Destination(party=Outside(name=name, where=otherwise), ports=ports),)


def _places(name: str, given: Iterable[Place], ports: tuple[int, ...]) -> Iterator[Destination]:
    for each in given:
        yield Destination(party=Outside(name=name, where=(_peer(each),)), ports=each.ports or ports)


def _peer(place: Somewhere) -> Neighbours | Addresses:
    if place.cidr is None:
        return Neighbours(namespace=place.namespace)
    return Addresses(cidr=place.cidr)


def _ranges(cidrs: Iterable[str]) -> Iterator[Addresses]:
    return (Addresses(cidr=cidr) for cidr in cidrs)


def _public(denied: Iterable[str]) -> tuple[Addresses, ...]:
    """Every public address of both kinds."""
    all_of = {cidr for cidr in _PUBLIC for each in denied if _is_inside(cidr, each)}
    without = (*SPECIAL, *denied)
    return tuple(_without(cidr, without) for cidr in _PUBLIC if cidr not in all_of)


def _without(cidr: str, excepted: Iterable[str]) -> Addresses:
    """A range without those of others that are inside it: Kubernetes refuses all others there."""
    inside = (each for each in dict.fromkeys(excepted) if _is_inside(each, cidr))
    return Addresses(cidr=cidr, excepted=tuple(inside))


def _is_inside(cidr: str, whole: str) -> bool:
    """Whether all of a range is in another one, which may be the same."""
    one, other = ip_network(cidr), ip_network(whole)
    if isinstance(one, IPv4Network):
        return isinstance(other, IPv4Network) and one.subnet_of(other)
    return isinstance(other, IPv6Network) and one.subnet_of(other)


_ANYWHERE: Final = tuple(_without(cidr, _OF_A_HOST) for cidr in _EVERYWHERE)
"""Also private addresses: for what is not a worker's to choose."""
