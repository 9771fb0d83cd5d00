"""Settings that are wrong in one way each, and a pattern of what must be said of it."""

from __future__ import annotations

import json
from typing import Any

GATEWAY, POOLS = "ado:gateway", "ado:workerPools"
POLICIES = "ado:networkPolicies"
IMAGE = {"image": {"tag": "1.0"}}
SIDECAR = {
    "name": "x",
    "image": "x/y:1",
    "resources": {side: {"cpu": "1", "memory": "1Gi"} for side in ("requests", "limits")},
}
DURING = "DuringSchedulingIgnoredDuringExecution"
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown section": ({"ado:gatway": {}}, r"ado:gatway is unknown; did you mean gateway\?"),
    "section of nobody": ({"ado:xyz": {}}, "ado:xyz is unknown; known are profile, protectData"),
    "unknown key": (
        {GATEWAY: {"scaling": {"minReplica": 1}}},
        r"ado:gateway.scaling.minReplica is unknown; did you mean minReplicas\?",
    ),
    "number in quotes": (
        {GATEWAY: {"scaling": {"minReplicas": "3"}}},
        'ado:gateway.scaling.minReplicas = "3": must be a valid integer',
    ),
    "text for a boolean": ({"ado:protectData": "yes"}, 'ado:protectData = "yes": must be a valid'),
    "number for a tag": (
        {GATEWAY: {"image": {"tag": 1.1}}},
        "ado:gateway.image.tag = 1.1: must be a valid string",
    ),
    "fraction for a number": (
        {"ado:dashboard": {"replicas": 1.5}},
        "ado:dashboard.replicas = 1.5: must be a valid integer",
    ),
    "list for a mapping": ({"ado:images": ["x"]}, "ado:images: must be an object"),
    "minimum over maximum": (
        {GATEWAY: {"scaling": {"minReplicas": 9}}},
        "ado:gateway.scaling: minReplicas 9 exceeds maxReplicas 2",
    ),
    "cpu request over limit": (
        {GATEWAY: {"resources": {"requests": {"cpu": "3"}}}},
        "requests.cpu 3 exceeds limits.cpu 500m",
    ),
    "memory request over limit": (
        {GATEWAY: {"resources": {"requests": {"memory": "1Gi"}}}},
        "requests.memory 1Gi exceeds limits.memory 512Mi",
    ),
    "device that is promised and not allowed": (
        {GATEWAY: {"resources": {"requests": {"nvidia.com/gpu": 1}}}},
        "requests.nvidia.com/gpu 1 differs from limits.nvidia.com/gpu not given",
    ),
    "half a device": (
        {GATEWAY: {"resources": {"limits": {"nvidia.com/gpu": 0.5}}}},
        r'ado:gateway.resources.limits\["nvidia.com/gpu"\] = 0.5: must be a valid integer',
    ),
    "resource without a domain": (
        {GATEWAY: {"resources": {"limits": {"gpu": 1}}}},
        "ado:gateway.resources.limits.gpu is unknown; did you mean",
    ),
    "variable that is none": (
        {GATEWAY: {"pod": {"env": {"a=b": "x"}}}},
        "ado:gateway.pod.env.a=b is no possible name",
    ),
    "variable that is a number": (
        {"ado:pods": {"env": {"A": 1}}},
        "ado:pods.env.A = 1: must be a valid string; text that looks like a number",
    ),
    "label of ours": (
        {"ado:redis": {"pod": {"labels": {"app": "x"}}}},
        "ado:redis.pod.labels.app is no possible name: is a label that the platform or Kubernetes",
    ),
    "label of a controller": (
        {"ado:pods": {"labels": {"statefulset.kubernetes.io/pod-name": "x"}}},
        "is a label that the platform or Kubernetes sets itself; remove it",
    ),
    "volume of two kinds": (
        {GATEWAY: {"pod": {"volumes": [{"name": "x", "secret": "x", "configMap": "x"}]}}},
        r"ado:gateway.pod.volumes\[0\]: needs exactly one of secret, configMap, .* and csi",
    ),
    "volume without a name": (
        {GATEWAY: {"pod": {"volumes": [{"secret": "x"}]}}},
        r"ado:gateway.pod.volumes\[0\].name is missing",
    ),
    "misspelt key of a sidecar": (
        {GATEWAY: {"pod": {"sidecars": [{**SIDECAR, "arg": []}]}}},
        r"ado:gateway.pod.sidecars\[0\].arg is unknown; did you mean args\?",
    ),
    "sidecar of the latest version": (
        {GATEWAY: {"pod": {"sidecars": [{**SIDECAR, "image": "x/y:latest"}]}}},
        "the tag 'latest' names no version",
    ),
    "sidecar of no version": (
        {GATEWAY: {"pod": {"sidecars": [{**SIDECAR, "image": "host:5000/x"}]}}},
        r"ado:gateway.pod.sidecars\[0\].image = .*names no version",
    ),
    "path that is none": (
        {GATEWAY: {"pod": {"volumes": [{"name": "x", "secret": "x", "mountPath": "a/../b"}]}}},
        r"ado:gateway.pod.volumes\[0\].mountPath = ",
    ),
    "toleration of a value that exists": (
        {"ado:pods": {"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]}},
        r"ado:pods.tolerations\[0\]: operator Exists takes no value",
    ),
    "toleration of nothing": (
        {"ado:pods": {"tolerations": [{"value": "b"}]}},
        "operator Equal needs a key",
    ),
    "affinity of another shape": (
        {"ado:pods": {"affinity": {"nodeAffinity": {"required": []}}}},
        "ado:pods.affinity.nodeAffinity: has required; known are requiredDuringScheduling",
    ),
    "affinity of nodes without terms": (
        {"ado:pods": {"affinity": {"nodeAffinity": {f"required{DURING}": [{}]}}}},
        "that is no mapping of nodeSelectorTerms to a list",
    ),
    "account with a name and annotations": (
        {"ado:pods": {"serviceAccount": {"name": "x", "annotations": {"a": "b"}}}},
        "ado:pods.serviceAccount: needs exactly one of name and annotations",
    ),
    "security context of nobody": (
        {"ado:pods": {"securityContext": "openshift"}},
        "ado:pods.securityContext = \"openshift\": must be 'restricted' or 'cluster'",
    ),
    "quota of nothing known": (
        {"ado:namespace": {"resourceQuota": {"request.cpu": "4"}}},
        "ado:namespace.resourceQuota",
    ),
    "quota below nothing": (
        {"ado:namespace": {"resourceQuota": {"pods": -1}}},
        "ado:namespace.resourceQuota.pods = -1",
    ),
    "quota of half a pod": (
        {"ado:namespace": {"resourceQuota": {"pods": 1.5}}},
        "has pods: 1.5, which is counted; give a whole number",
    ),
    "limits that nothing can meet": (
        {"ado:namespace": {"limitRange": {"pod": {"min": {"cpu": 2}, "max": {"cpu": "500m"}}}}},
        "min.cpu 2 exceeds max.cpu 500m; lower it, or raise that",
    ),
    "default beyond the most": (
        {
            "ado:namespace": {
                "limitRange": {"container": {"default": {"cpu": 2}, "max": {"cpu": 1}}}
            }
        },
        "default.cpu 2 exceeds max.cpu 1; lower it, or raise that",
    ),
    "default of a pod": (
        {"ado:namespace": {"limitRange": {"pod": {"default": {"cpu": "1"}}}}},
        "ado:namespace.limitRange.pod.default is unknown",
    ),
    "limit of a claim's memory": (
        {"ado:namespace": {"limitRange": {"persistentVolumeClaim": {"max": {"memory": "1Gi"}}}}},
        "ado:namespace.limitRange.persistentVolumeClaim.max",
    ),
    "latest": ({GATEWAY: {"image": {"tag": "latest"}}}, "ado:gateway.image: the tag 'latest'"),
    "no tag": ({GATEWAY: {"image": {"tag": None}}}, "needs exactly one of tag and digest"),
    "tag beyond ASCII": ({GATEWAY: {"image": {"tag": "café"}}}, 'ado:gateway.image.tag = "café"'),
    "cpu beyond ASCII": (
        {GATEWAY: {"resources": {"requests": {"cpu": "\uff15m"}}}},
        'ado:gateway.resources.requests.cpu = "\uff15m": is no CPU quantity',
    ),
    "Python's spelling": (
        {GATEWAY: {"scaling": {"min_replicas": 1}}},
        r"ado:gateway.scaling.min_replicas is unknown; did you mean minReplicas\?",
    ),
    "a path without --path": (
        {"ado:gateway.image.tag": "0.2.0"},
        "pulumi config set --path ado:gateway.image.tag VALUE",
    ),
    "tag and digest": (
        {GATEWAY: {"image": {"digest": "sha256:" + "a" * 64}}},
        "needs exactly one of tag and digest",
    ),
    "short digest": (
        {GATEWAY: {"image": {"tag": None, "digest": "sha256:abc"}}},
        'ado:gateway.image.digest = "sha256:abc"',
    ),
    "registry host": (
        {"ado:images": {"registry": "my_registry.example.com/ado"}},
        "ado:images.registry = .*is no DNS name",
    ),
    "registry with scheme": (
        {"ado:images": {"registry": "https://registry.example.com/ado"}},
        "is no image registry",
    ),
    "tracing host": (
        {"ado:config": {"observability": {"tracing": {"endpoint": "http://-x-:1/api"}}}},
        "ado:config.observability.tracing.endpoint = .*is no DNS name",
    ),
    "budget that blocks": (
        {GATEWAY: {"disruption": {"maxUnavailable": None, "minAvailable": 1}}},
        "disruption.minAvailable 1 of 1 would block every node drain",
    ),
    "budget of none": (
        {"ado:dashboard": {"disruption": {"maxUnavailable": "0%"}}},
        "disruption.maxUnavailable 0% would block every node drain",
    ),
    "negative replicas": (
        {"ado:dashboard": {"replicas": -1}},
        "ado:dashboard.replicas = -1: must be greater than or equal to 1",
    ),
    "absurd replicas": (
        {"ado:dashboard": {"replicas": 10**7}},
        "must be less than or equal to 1000",
    ),
    "negative cpu": (
        {GATEWAY: {"resources": {"requests": {"cpu": "-1"}}}},
        'ado:gateway.resources.requests.cpu = "-1": is no CPU quantity',
    ),
    "absurd memory": (
        {GATEWAY: {"resources": {"limits": {"memory": "99Ti"}}}},
        'limits.memory = "99Ti": is out of range',
    ),
    "derived server": ({"ado:config": {"server": {"port": 1}}}, "server is derived"),
    "relative health path": (
        {GATEWAY: {"health": {"ready": "ready"}}},
        'ado:gateway.health.ready = "ready"',
    ),
    "unknown profile": ({"ado:profile": "prod"}, "must be 'development' or 'production'"),
    "unknown controller": (
        {"ado:edge": {"controller": "haproxy"}},
        "ado:edge.controller = \"haproxy\": must be 'nginx', 'traefik' or 'cloud'",
    ),
    "edge host": (
        {"ado:edge": {"host": "Ado_1.example.com"}},
        'ado:edge.host = "Ado_1.example.com": is no DNS name',
    ),
    "edge host that is an address": (
        {"ado:edge": {"host": "10.0.0.5"}},
        'ado:edge.host = "10.0.0.5": is an address; write the name that DNS leads to it',
    ),
    "edge host that is an address of IPv6": (
        {"ado:edge": {"host": "fd00::10"}},
        'ado:edge.host = "fd00::10": is no DNS name',
    ),
    "issuer of no name": ({"ado:edge": {"tlsIssuer": ""}}, 'ado:edge.tlsIssuer = "": is no DNS'),
    "TLS that ends nowhere": (
        {"ado:edge": {"tls": {}}},
        "ado:edge.tls: needs exactly one of secret, issuer and loadBalancer",
    ),
    "TLS that ends in two places": (
        {"ado:edge": {"tls": {"secret": "own", "loadBalancer": True}}},
        "ado:edge.tls: needs exactly one of",
    ),
    "TLS that does not end at the load balancer": (
        {"ado:edge": {"tls": {"loadBalancer": False}}},
        "ado:edge.tls.loadBalancer = false: must be True",
    ),
    "issuer said twice": (
        {"ado:edge": {"tlsIssuer": "le", "tls": {"issuer": {"name": "le"}}}},
        "ado:edge: has tls and tlsIssuer",
    ),
    "kind of an issuer in small letters": (
        {"ado:edge": {"tls": {"issuer": {"name": "le", "kind": "issuer"}}}},
        'ado:edge.tls.issuer.kind = "issuer"',
    ),
    "annotation that a setting says": (
        {"ado:edge": {"annotations": {"nginx.ingress.kubernetes.io/proxy-body-size": "1g"}}},
        "is no possible name: it is said by edge.bodySize",
    ),
    "annotation of no possible name": (
        {"ado:edge": {"serviceAnnotations": {"a b": "c"}}},
        "ado:edge.serviceAnnotations.a b is no possible name: is no label key",
    ),
    "annotation that is a number": (
        {"ado:edge": {"annotations": {"example.com/port": 443}}},
        r'ado:edge.annotations\["example.com/port"\] = 443: must be a valid string',
    ),
    "body size of Kubernetes": ({"ado:edge": {"bodySize": "50Mi"}}, 'ado:edge.bodySize = "50Mi"'),
    "body size of nothing": ({"ado:edge": {"bodySize": "0m"}}, 'ado:edge.bodySize = "0m"'),
    "timeout of none": ({"ado:edge": {"timeout": 0}}, "ado:edge.timeout = 0: must be greater"),
    "pool name in capitals": ({POOLS: {"GPU": IMAGE}}, "ado:workerPools.GPU is no possible name"),
    "pool name with a dot": ({POOLS: {"g.pu": IMAGE}}, r"rm --path 'ado:workerPools\[\"g.pu\"\]'"),
    "pool name too long": ({POOLS: {"a" * 41: IMAGE}}, "a{41} is no possible name"),
    "pool twice": (
        {POOLS: f'{{"gpu": {json.dumps(IMAGE)}, "gpu": {json.dumps(IMAGE)}}}'},
        "ado:workerPools names gpu twice; keep one of them",
    ),
    "key twice inside a pool": (
        {POOLS: '{"gpu": {"image": {"tag": "1", "tag": "2"}}}'},
        "ado:workerPools names tag twice",
    ),
    "unknown key in a pool": (
        {POOLS: {"default": {"longestTsk": 1}}},
        r"ado:workerPools.default.longestTsk is unknown; did you mean longestTask\?",
    ),
    "unknown key below a pool": (
        {POOLS: {"default": {"scaling": {"queueLenght": 1}}}},
        r"ado:workerPools.default.scaling.queueLenght is unknown; did you mean queueLength\?",
    ),
    "pool without image": (
        {POOLS: {"gpu": {}}},
        r"ado:workerPools.gpu.image is missing\n.*'ado:workerPools.gpu.image.tag' VALUE",
    ),
    "minimum of a pool over maximum": (
        {POOLS: {"default": {"scaling": {"minReplicas": 4}}}},
        "ado:workerPools.default.scaling: minReplicas 4 exceeds maxReplicas 3",
    ),
    "budget of a pool that blocks": (
        {POOLS: {"default": {"disruption": {"maxUnavailable": 0}}}},
        "ado:workerPools.default: disruption.maxUnavailable 0 would block every node drain",
    ),
    "shutdown shorter than a task": (
        {POOLS: {"default": {"longestTask": 300, "drain": {"shutdownTimeout": 299}}}},
        "ado:workerPools.default: drain.shutdownTimeout 299 is shorter than longestTask 300",
    ),
    "killed before its deadline": (
        {POOLS: {"default": {"drain": {"gracePeriod": 275}}}},
        "ado:workerPools.default: drain.gracePeriod 275 must exceed .* 270 plus preStop 5",
    ),
    "endless task": (
        {POOLS: {"default": {"longestTask": 86_401}}},
        "ado:workerPools.default.longestTask = 86401: must be less than or equal to 86400",
    ),
    "workspace of nothing": (
        {POOLS: {"default": {"workspace": "0"}}},
        'ado:workerPools.default.workspace = "0": is out of range',
    ),
    "scaling slower than the server accepts": (
        {POOLS: {"default": {"scaling": {"scaleUp": {"window": 3601, "pods": 1, "period": 1}}}}},
        "ado:workerPools.default.scaling.scaleUp.window = 3601: must be less than or equal to 3600",
    ),
    "more connections than there are": (
        {"ado:postgres": {"maxConnections": 30}},
        r"ado:postgres.maxConnections = 30: too low for 2 gateways x poolSize 10 .* = 50; raise it",
    ),
    "one connection too many": (
        {GATEWAY: {"poolSize": 35}, "ado:orchestrator": {"poolSize": 21}},
        r"ado:postgres.maxConnections = 100: too low for .* = 101; raise it, or lower a poolSize",
    ),
    "backup without a bucket": (
        {"ado:postgres": {"backup": {}}},
        r"ado:postgres.backup.bucket is missing\n.*'ado:postgres.backup.bucket' VALUE",
    ),
    "backup of a schedule with four fields": (
        {"ado:postgres": {"backup": {"bucket": "backups", "schedule": "0 3 * *"}}},
        r'ado:postgres.backup.schedule = "0 3 \* \*": is no schedule; write minute, hour, day',
    ),
    "backup at an hour that there is not": (
        {"ado:postgres": {"backup": {"bucket": "backups", "schedule": "0 24 * * *"}}},
        "has no hour '24'; write 0 to 23",
    ),
    "backup on a day that there is not": (
        {"ado:postgres": {"backup": {"bucket": "backups", "schedule": "0 3 31 2 *"}}},
        "names no day that there is",
    ),
    "backup that keeps none": (
        {"ado:postgres": {"backup": {"bucket": "backups", "retention": 0}}},
        "ado:postgres.backup.retention = 0: must be greater than or equal to 1",
    ),
    "backup in a bucket with a folder": (
        {"ado:postgres": {"backup": {"bucket": "backups/ado"}}},
        'ado:postgres.backup.bucket = "backups/ado": is no bucket name',
    ),
    "backup below a slash": (
        {"ado:postgres": {"backup": {"bucket": "backups", "prefix": "/postgresql"}}},
        'ado:postgres.backup.prefix = "/postgresql"',
    ),
    "backup without room for a dump": (
        {"ado:postgres": {"backup": {"bucket": "backups", "volume": "0Gi"}}},
        'ado:postgres.backup.volume = "0Gi": is out of range',
    ),
    "unknown key of the backup": (
        {"ado:postgres": {"backup": {"bucket": "backups", "retentoin": 7}}},
        r"ado:postgres.backup.retentoin is unknown; did you mean retention\?",
    ),
    "registry of rclone with a scheme": (
        {"ado:images": {"rclone": "https://registry.example.com/rclone"}},
        "ado:images.rclone = .* is no image registry",
    ),
    "primary of PostgreSQL": (
        {"ado:postgres": {"primaryOrdinal": 1}},
        r"primaryOrdinal is no longer a setting: .*\n.*rm --path 'ado:postgres.primaryOrdinal'",
    ),
    "replicas of PostgreSQL": ({"ado:postgres": {"replicas": 3}}, "replicas is unknown"),
    "volume of less than nothing": (
        {"ado:redis": {"volume": {"size": "-1Gi"}}},
        'ado:redis.volume.size = "-1Gi": is no memory quantity',
    ),
    "volume larger than any disk": (
        {"ado:postgres": {"volume": {"size": "99Ti"}}},
        'ado:postgres.volume.size = "99Ti": is out of range',
    ),
    "storage class of no name": (
        {"ado:redis": {"volume": {"storageClass": "Fast"}}},
        'ado:redis.volume.storageClass = "Fast": is no DNS name',
    ),
    "log that is put to disk at no time": (
        {"ado:redis": {"appendfsync": "no"}},
        "ado:redis.appendfsync = \"no\": must be 'everysec' or 'always'",
    ),
    "second replica of a master": (
        {"ado:redis": {"replicasPerMaster": 2}},
        "ado:redis.replicasPerMaster = 2: must be less than or equal to 1",
    ),
    "nodes of a Redis of our own": (
        {"ado:redis": {"nodes": ["redis.example.com:6379"]}},
        "ado:redis: with mode internal nobody reads nodes; remove what is not read",
    ),
    "node without a port": (
        {"ado:redis": '{"nodes": ["redis.example.com"]}'},
        r'ado:redis.nodes\[0\] = "redis.example.com": is no address; write it as host:port',
    ),
    "node of a port too high": (
        {"ado:redis": '{"nodes": ["redis.example.com:65536"]}'},
        r'ado:redis.nodes\[0\] = "redis.example.com:65536": has a port that is no number',
    ),
    "fourth orchestrator": (
        {"ado:orchestrator": {"replicas": 4}},
        "ado:orchestrator.replicas = 4: must be less than or equal to 3",
    ),
    "bucket of two words": (
        {"ado:objectStorage": {"buckets": {"artifacts": "my artifacts"}}},
        'ado:objectStorage.buckets.artifacts = "my artifacts": is no bucket name',
    ),
    "bucket that is an address": (
        {"ado:objectStorage": {"buckets": {"checkpoints": "192.168.1.1"}}},
        'ado:objectStorage.buckets.checkpoints = "192.168.1.1": is no bucket name',
    ),
    "bucket too short": (
        {"ado:objectStorage": {"buckets": {"checkpoints": "ab"}}},
        "is no bucket name; 3 to 255",
    ),
    "endpoint without a scheme": (
        {"ado:objectStorage": {"endpoint": "s3.example.com"}},
        'ado:objectStorage.endpoint = "s3.example.com": is no URL',
    ),
    "endpoint of another scheme": (
        {"ado:objectStorage": {"endpoint": "s3://bucket"}},
        'ado:objectStorage.endpoint = "s3://bucket": is no URL',
    ),
    "endpoint with half a port": (
        {"ado:objectStorage": {"endpoint": "http://s3.example.com:90a"}},
        "ado:objectStorage.endpoint = .* has a port that is no number",
    ),
    "endpoint of half an address": (
        {"ado:objectStorage": {"endpoint": "http://[fd00:9000"}},
        r'ado:objectStorage.endpoint = "http://\[fd00:9000": is no URL',
    ),
    "endpoint with something else in brackets": (
        {"ado:objectStorage": {"endpoint": "http://[s3]:9000"}},
        "ado:objectStorage.endpoint = .*",
    ),
    "region": ({"ado:objectStorage": {"region": "E U"}}, 'ado:objectStorage.region = "E U"'),
    "region of no name": ({"ado:objectStorage": {"region": ""}}, 'ado:objectStorage.region = ""'),
    "label key": (
        {"ado:monitoring": {"labels": {"bad key": "x"}}},
        "ado:monitoring.labels.bad key is no possible name: is no label key",
    ),
    "label of the platform's own": (
        {"ado:monitoring": {"labels": {"app.kubernetes.io/name": "x"}}},
        "is a label that the platform sets itself",
    ),
    "label value": (
        {"ado:monitoring": {"labels": {"release": "a b"}}},
        'ado:monitoring.labels.release = "a b": is no label value',
    ),
    "migrations without command": (
        {"ado:migrations": {}},
        r"ado:migrations.command is missing\n.*'ado:migrations.command\[0\]' VALUE",
    ),
    "migrations with an empty command": (
        {"ado:migrations": {"command": []}},
        "ado:migrations.command: .* at least 1 item",
    ),
    "migrations with a line of shell": (
        {"ado:migrations": {"command": "ado migrate"}},
        'ado:migrations.command = "ado migrate": must be a valid array',
    ),
    "migrations with a number": (
        {"ado:migrations": {"command": ["ado", 1]}},
        r"ado:migrations.command\[1\] = 1: must be a valid string",
    ),
    "migrations of no version": (
        {"ado:migrations": {"command": ["x"], "image": {"name": "schema"}}},
        "ado:migrations.image: needs exactly one of tag and digest",
    ),
    "latest migrations": (
        {"ado:migrations": {"command": ["x"], "image": {"tag": "latest"}}},
        "ado:migrations.image: the tag 'latest'",
    ),
    "latest PostgreSQL": (
        {"ado:postgres": {"image": {"tag": "latest"}}},
        "ado:postgres.image: the tag 'latest'",
    ),
    "PostgreSQL of another major version": (
        {"ado:postgres": {"image": {"tag": "18.1-trixie"}}},
        "ado:postgres: image.tag 18.1-trixie is none of version 17 on Debian",
    ),
    "a major version that begins with the right digits": (
        {"ado:redis": {"image": {"tag": "80.1"}}},
        "ado:redis: image.tag 80.1 is none of version 8 on Debian",
    ),
    "PostgreSQL of another user": (
        {"ado:postgres": {"image": {"tag": "17.12-alpine"}}},
        "ado:postgres: image.tag 17.12-alpine is none of version 17 on Debian",
    ),
    "own image of another user": (
        {"ado:postgres": {"image": {"repository": "example.com/pg", "tag": "1-alpine"}}},
        "ado:postgres: image.tag 1-alpine is none of version 17 on Debian",
    ),
    "repository with a tag in it": (
        {"ado:postgres": {"image": {"repository": "example.com/pg:1", "tag": "1"}}},
        'ado:postgres.image.repository = "example.com/pg:1": is no image registry',
    ),
    "parameter that the platform sets": (
        {"ado:postgres": {"parameters": {"fsync": False}}},
        "ado:postgres.parameters.fsync is no possible name: as a parameter it would let a crash",
    ),
    "parameter that there is not": (
        {"ado:postgres": {"parameters": {"work_memm": "1MB"}}},
        "ado:postgres.parameters.work_memm is no possible name: PostgreSQL has none of that name",
    ),
    "parameter of no single value": (
        {"ado:postgres": {"parameters": {"work_mem": ["1MB"]}}},
        "ado:postgres.parameters.work_mem: must be a number, true, false, or text of one line",
    ),
    "parameter out of range": (
        {"ado:postgres": {"parameters": {"work_mem": "1kB"}}},
        "ado:postgres.parameters: work_mem = 1kB is out of range: from 64 to 2147483647 x kB",
    ),
    "library that the image has not": (
        {"ado:postgres": {"parameters": {"shared_preload_libraries": "timescaledb"}}},
        "ado:postgres: parameters.shared_preload_libraries = timescaledb: the official image has",
    ),
    "provider that rclone does not know": (
        {"ado:objectStorage": {"provider": "aws"}},
        'ado:objectStorage.provider = "aws": is none that rclone knows: AWS, Alibaba',
    ),
    "queue metric of a path": (
        {POOLS: {"default": {"scaling": {"queueMetric": {"name": "a/b"}}}}},
        'scaling.queueMetric.name = "a/b"',
    ),
    "a policy that there is not": (
        {"ado:policies": {"waived": {"digest": "no images yet"}}},
        "ado:policies.waived.digest is no possible name: must be 'no_latest', 'probes'",
    ),
    "a policy waived without a word why": (
        {"ado:policies": {"waived": {"digests": " "}}},
        'ado:policies.waived.digests = " ":',
    ),
    "addresses that are none": (
        {POLICIES: {"ingressAddresses": ["10.0.0.0/33"]}},
        r'ado:networkPolicies.ingressAddresses\[0\] = "10.0.0.0/33": is no range of addresses',
    ),
    "addresses with bits of a host": (
        {POLICIES: {"egress": {"denied": ["10.1.2.3/16"]}}},
        r'denied\[0\] = "10.1.2.3/16": is no range as Kubernetes writes it; 10.1.0.0/16 is',
    ),
    "a place that is two": (
        {POLICIES: {"egress": {"apiServer": [{"cidr": "10.1.0.0/16", "namespace": "x"}]}}},
        r"ado:networkPolicies.egress.apiServer\[0\]: needs exactly one of cidr and namespace",
    ),
    "a place that is none": (
        {POLICIES: {"egress": {"tracing": [{"ports": [4318]}]}}},
        r"ado:networkPolicies.egress.tracing\[0\]: needs exactly one of cidr and namespace",
    ),
    "a place with a key that there is not": (
        {POLICIES: {"egress": {"tracing": [{"cdir": "10.1.0.0/16"}]}}},
        r"egress.tracing\[0\].cdir is unknown; did you mean cidr\?",
    ),
    "an opening without ports": (
        {POLICIES: {"extra": {"workers": {"egress": [{"namespace": "git", "why": "x"}]}}}},
        r"ado:networkPolicies.extra.workers.egress\[0\].ports is missing",
    ),
    "an opening at no port": (
        {
            POLICIES: {
                "extra": {"workers": {"egress": [{"namespace": "x", "ports": [], "why": "x"}]}}
            }
        },
        r"egress\[0\].ports: .*at least 1 item",
    ),
    "a part that there is not": (
        {POLICIES: {"extra": {"worker": {}}}},
        "ado:networkPolicies.extra.worker is no possible name: must be 'gateway', 'dashboard'",
    ),
    "openings of a part that the stack has not": (
        {POLICIES: {"extra": {"backup": {}}}},
        "ado:networkPolicies.extra.backup is about what this stack has not, and nobody reads it",
    ),
    "the place of a store of its own": (
        {POLICIES: {"egress": {"redis": [{"cidr": "10.1.0.0/16"}]}}},
        "ado:networkPolicies.egress.redis is about what this stack has not, and nobody reads it",
    ),
}
"""What is wrong → changes of the dev stack, pattern."""
