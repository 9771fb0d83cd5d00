"""The types that settings are made of: quantities, durations, hosts, registries, buckets.

Each is a plain string or number in YAML and stays one in Python; the annotated types below refuse
what Kubernetes would refuse, or accept and never be able to satisfy. Grammar of names: RFC 1123;
of images: the OCI distribution specification; of quantities: `kit/quantities.py`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from ipaddress import IPv6Address, ip_network
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, StringConstraints

from ado_infra.kit import schema_rules as patterns
from ado_infra.kit.cron import PATTERN, Schedule
from ado_infra.kit.quantities import MAX_BYTES, MAX_MILLICORES, millicores, size_in_bytes
from ado_infra.kit.schema_rules import SchemaRules, pattern_rule

_ADDRESS = re.compile(r"\d+(?:\.\d+){3}", re.ASCII)
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{2,254}")
_DNS_LABEL = re.compile(patterns.DNS_LABEL)
_LABEL_NAME = re.compile(patterns.LABEL_NAME)
_PATH_COMPONENT = re.compile(patterns.PATH_COMPONENT)


def share_of(value: int | str, total: int) -> int:
    """What an int-or-percent means for `total` pods; the PDB controller rounds up, so do we."""
    if isinstance(value, int):
        return value
    return math.ceil(int(value.removesuffix("%")) * total / 100)


def is_dns_name(host: str) -> bool:
    """Whether a host is an RFC 1123 DNS name."""
    return len(host) <= 253 and all(_DNS_LABEL.fullmatch(label) for label in host.split("."))


def _checked(measure: Callable[[str], object]) -> AfterValidator:
    def keep(text: str) -> str:
        measure(text)
        return text

    return AfterValidator(keep)


def _int_or_percent(value: object) -> int | str:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 1000:
        return value
    if isinstance(value, str) and re.fullmatch(r"\d{1,2}%|100%", value, re.ASCII):
        return value
    raise ValueError("must be a number of pods such as 1, or a percentage such as '30%'")


def _dns_name(host: str) -> str:
    if not is_dns_name(host):
        raise ValueError("is no DNS name; lower-case letters, digits and hyphens between dots")
    return host


def dns_label(name: str) -> str:
    """The name itself; raises ValueError when it is no RFC 1123 label."""
    if not _DNS_LABEL.fullmatch(name):
        raise ValueError("is no name; at most 63 lower-case letters, digits and hyphens")
    return name


def label_key(key: str) -> str:
    """The key itself; raises ValueError when it is no optional DNS prefix and a name."""
    prefix, slash, name = key.rpartition("/")
    if (slash and not is_dns_name(prefix)) or not _LABEL_NAME.fullmatch(name):
        raise ValueError("is no label key; write it as name or prefix.example.com/name")
    return key


def _label_key(key: str) -> str:
    if label_key(key).startswith("app.kubernetes.io/"):
        raise ValueError("is a label that the platform sets itself; remove it")
    return key


def label_value(value: str) -> str:
    """The value itself; raises ValueError when it is no label value."""
    if value and not _LABEL_NAME.fullmatch(value):
        raise ValueError("is no label value; at most 63 letters, digits, '-', '_' and '.'")
    return value


def _host_name(host: str) -> str:
    _dns_name(host)
    if _ADDRESS.fullmatch(host):
        raise ValueError("is an address; write the name that DNS leads to it, as clients type it")
    return host


def _storage_class(name: str) -> str:
    return name and _dns_name(name)


def _bucket_name(name: str) -> str:
    if not _BUCKET.fullmatch(name) or _ADDRESS.fullmatch(name):
        raise ValueError(
            "is no bucket name; 3 to 255 letters, digits, dots, hyphens and underscores, no address"
        )
    return name


def _require_ipv6(address: str) -> None:
    try:
        IPv6Address(address)
    except ValueError:
        raise ValueError(f"has no IPv6 address between its brackets: {address!r}") from None


def _host_and_port(value: str) -> str:
    host, colon, port = value.rpartition(":")
    if not colon:
        raise ValueError("is no address; write it as host:port")
    if host.startswith("[") and host.endswith("]"):
        _require_ipv6(host[1:-1])
    else:
        _dns_name(host)
    if not (port.isascii() and port.isdecimal() and 0 < int(port) < 2**16):
        raise ValueError("has a port that is no number up to 65535; write it as host:port")
    return value


def _cidr(value: str) -> str:
    try:
        network = ip_network(value, strict=False)
    except ValueError:
        raise ValueError(
            "is no range of addresses; write it as 10.0.0.0/16, and one address as 10.1.2.3/32"
        ) from None
    if str(network) != value:  # the API server warns of any other spelling, and may refuse it
        raise ValueError(f"is no range as Kubernetes writes it; {network} is")
    return value


def _registry(value: str) -> str:
    """An optional host[:port], then path components, as images are named."""
    first, *rest = value.split("/")
    if "." in first or ":" in first or first == "localhost":
        host, _, port = first.partition(":")
        _dns_name(host)
        if port and not (port.isascii() and port.isdecimal()):
            raise ValueError("has a port that is no number; write it as host[:port]/path")
    else:
        rest.insert(0, first)
    if not all(_PATH_COMPONENT.fullmatch(component) for component in rest):
        raise ValueError("is no image registry; write it as host[:port]/path, without a scheme")
    return value


def _http_url(value: str) -> str:
    try:
        parts = urlsplit(value)
    except ValueError:  # of brackets alone
        raise ValueError("is no URL; an IPv6 address stands between [ and ]") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("is no URL; write it as http://host[:port]/path")
    if "@" in value:  # wherever it is: a password with a slash in it ends the host's part
        raise ValueError("carries credentials; no secret belongs into a plain setting")
    if ":" in parts.hostname:
        _require_ipv6(parts.hostname)
    else:
        _dns_name(parts.hostname)
    try:
        _ = parts.port
    except ValueError:
        message = "has a port that is no number up to 65535; write it as host[:port]"
        raise ValueError(message) from None
    if parts.query or parts.fragment or re.search(r"\s", value):
        raise ValueError("is more than an address; write it as http://host[:port]/path")
    return value


def _quantity_text(value: object) -> object:
    """YAML's `cpu: 2` is a number; Kubernetes takes it for the quantity "2"."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number else value


def _number_or_text(title: str, pattern: str, maximum: int) -> SchemaRules:
    return SchemaRules(
        {
            "title": title,
            "type": ["string", "number"],
            "pattern": pattern,
            "exclusiveMinimum": 0,
            "maximum": maximum,
        }
    )


Cpu = Annotated[
    str,
    BeforeValidator(_quantity_text),
    _checked(millicores),
    _number_or_text("CPU such as 500m or 2", patterns.CPU, MAX_MILLICORES // 1000),
]
"""A CPU quantity such as `500m` or `2`."""
Memory = Annotated[
    str,
    BeforeValidator(_quantity_text),
    _checked(size_in_bytes),
    _number_or_text("bytes such as 512Mi or 2Gi", patterns.MEMORY, MAX_BYTES),
]
"""A memory quantity such as `512Mi` or `2Gi`."""
IntOrPercent = Annotated[
    int | str,
    PlainValidator(_int_or_percent),
    SchemaRules(
        {
            "title": "pods such as 1, or a percentage such as 30%",
            "type": ["integer", "string"],
            "minimum": 0,
            "maximum": 1000,
            "pattern": r"^(?:[0-9]{1,2}|100)%$",
        }
    ),
]
"""A number of pods, or a percentage of them such as `30%`."""
Percentage = Annotated[int, Field(ge=1, le=100)]
ReplicaCount = Annotated[int, Field(ge=1, le=1000)]
"""A number of pods; the upper bound only catches slips of the finger."""
Seconds = Annotated[int, Field(ge=1, le=86_400)]
"""A duration of at most a day."""
LabelKey = Annotated[str, AfterValidator(_label_key), pattern_rule("label key", patterns.LABEL_KEY)]
LabelValue = Annotated[
    str,
    AfterValidator(label_value),
    pattern_rule("label value", rf"^(?:{patterns.LABEL_NAME})?$"),
]
BucketName = Annotated[
    str,
    AfterValidator(_bucket_name),
    pattern_rule("bucket name", patterns.BUCKET),
]
"""A bucket's name, by the widest rules of any S3-compatible service; theirs are often narrower."""
Region = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,62}$")]
"""A region, of which every service has its own names: `eu-central-1`, `RegionOne`, `EU`."""
HttpPath = Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9/._~-]*$")]
HttpUrl = Annotated[
    str,
    AfterValidator(_http_url),
    pattern_rule("URL http(s)://host[:port]/path", patterns.HTTP_URL),
]
ObjectPrefix = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_-][\w.-]*(/[A-Za-z0-9_-][\w.-]*)*$", max_length=200),
]
"""Where in a bucket objects lie, without a slash at either end."""
CronSchedule = Annotated[
    str, _checked(Schedule.parse), pattern_rule("schedule such as 0 3 * * *", PATTERN)
]
"""When something is due, as five fields in UTC: `0 3 * * *`."""
NamespaceName = Annotated[
    str, AfterValidator(dns_label), pattern_rule("namespace name", rf"^{patterns.DNS_LABEL}$")
]
"""Name of a namespace: an RFC 1123 label."""
HostAndPort = Annotated[
    str, AfterValidator(_host_and_port), pattern_rule("host:port", patterns.HOST_AND_PORT)
]
"""Where a server answers: `redis-0.example.com:6379`."""
Cidr = Annotated[str, AfterValidator(_cidr), pattern_rule("addresses 10.0.0.0/16", patterns.CIDR)]
"""A range of addresses, IPv4 or IPv6: `10.0.0.0/16`."""
PortNumber = Annotated[int, Field(ge=1, le=65535)]
DnsName = Annotated[
    str,
    AfterValidator(_dns_name),
    pattern_rule("DNS name", rf"^{patterns.DNS_NAME}$", maxLength=253),
]
SecretDataKey = Annotated[
    str, StringConstraints(pattern=r"^[-._a-zA-Z0-9]+$", min_length=1, max_length=253)
]
"""A key in the data of a Secret."""
HostName = Annotated[
    str,
    AfterValidator(_host_name),
    pattern_rule("DNS name, no address", patterns.HOST_NAME, maxLength=253),
]
"""A DNS name by which people reach something; no IP address."""
StorageClassName = Annotated[
    str,
    AfterValidator(_storage_class),
    pattern_rule("StorageClass or nothing", rf"^(?:{patterns.DNS_NAME})?$", maxLength=253),
]
"""Name of a StorageClass; empty for volumes that somebody makes by hand."""
Registry = Annotated[
    str, AfterValidator(_registry), pattern_rule("registry [host[:port]/]path", patterns.REGISTRY)
]
"""Where images are pulled from: `ado` (Docker Hub), `registry.example.com:5000/team`."""
