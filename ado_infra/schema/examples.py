"""For each group of docs/settings.md, what a stack file may say there: sections as a whole.

The tests hold each against the schema and load it as settings, in place of dev's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

FIRST: Final = """\
ado:profile: development
ado:protectData: false                      # `pulumi destroy` may delete the data
"""
"""Of the keys that are in no section."""
LAST: Final = """\
ado:anthropicApiKey: { secure: AAABAHQ3kz0vAqf1mJ8nSg== }    # as that command writes it
"""
"""Of the encrypted secrets."""
OF_SECTIONS: Final[Mapping[str, str]] = {
    "ado:namespace": """\
ado:namespace: { name: team-agents, create: false }    # a platform team keeps it
""",
    "ado:images": """\
ado:images:
  registry: registry.example.com/ado
  mirror: registry.example.com/docker-hub
  kubernetes: registry.example.com/kubernetes
  rclone: registry.example.com/docker-hub/rclone
  pullSecret: registry-login
""",
    "ado:pods": """\
ado:pods:
  env: { TZ: Europe/Berlin }
  labels: { cost-center: "4711" }
  tolerations: [{ key: dedicated, operator: Exists, effect: NoSchedule }]
""",
    "ado:network": """\
ado:network:
  proxy:
    https: http://proxy.example.com:3128
    bypass: [.example.com, 10.0.0.0/8]
  caBundle: { configMap: authorities }
""",
    "ado:edge": """\
ado:edge:
  host: ado.example.com
  tls:
    issuer: { name: letsencrypt, kind: Issuer }
  bodySize: 100m
""",
    "ado:gateway": """\
ado:gateway:
  image: { tag: 1.4.2 }
  scaling: { minReplicas: 3, maxReplicas: 6, cpuUtilization: 60 }
  disruption: { minAvailable: 2 }
""",
    "ado:dashboard": """\
ado:dashboard:
  image: { tag: 1.4.2 }
  replicas: 3
""",
    "ado:orchestrator": """\
ado:orchestrator:
  image: { tag: 1.4.2 }
  replicas: 3
  poolSize: 15
""",
    "ado:workerPools": """\
ado:workerPools:
  default:
    image: { tag: 1.4.2 }
    longestTask: 900
    scaling:
      maxReplicas: 20
      scaleDown: { window: 900 }            # no shorter than a task
  gpu:
    image: { tag: 1.4.2 }
    scaling: { minReplicas: 1, maxReplicas: 4 }
    resources:
      requests: { cpu: 2, memory: 8Gi }
      limits: { cpu: 4, memory: 16Gi, nvidia.com/gpu: 1 }
    modelGateway:                           # no provider's key is in these pods
      url: http://litellm.models.svc:4000
      keySecret: gateway-of-gpu             # a Secret of the namespace, key `key`
""",
    "ado:postgres": """\
ado:postgres:
  volume: { size: 100Gi, storageClass: fast }
  parameters: { work_mem: 16MB, shared_preload_libraries: pg_stat_statements }
  backup: { bucket: acme-backups, schedule: 30 2 * * *, retention: 14 }
""",
    "ado:redis": """\
ado:redis:
  replicasPerMaster: 1                      # a master that is lost has a successor
  volume: { size: 10Gi }
  resources:
    requests: { cpu: 500m, memory: 1Gi }
    limits: { cpu: 1, memory: 2Gi }
""",
    "ado:objectStorage": """\
ado:objectStorage:
  endpoint: https://s3.eu-central-1.amazonaws.com
  region: eu-central-1
  provider: AWS
  buckets: { checkpoints: acme-checkpoints, artifacts: acme-artifacts }
""",
    "ado:secrets": """\
ado:secrets:
  store: { name: vault, kind: ClusterSecretStore }
  databasePassword:                         # the operator writes it
    secret: ado-database
    remote: { key: ado/postgresql, property: password }
  anthropicApiKey: { secret: models, key: anthropic }    # somebody else does
""",
    "ado:migrations": """\
ado:migrations:
  command: [alembic, upgrade, head]
  image: { name: migrations, tag: 1.4.2 }
  timeout: 1800
""",
    "ado:monitoring": """\
ado:monitoring:
  labels: { release: prometheus }
""",
    "ado:policies": """\
ado:policies:
  waived:
    redis_replicas: A queue that is lost is filled again from the tickets.
""",
    "ado:networkPolicies": """\
ado:networkPolicies:
  ingressNamespace: ingress
  monitoringNamespace: observability
  egress:
    objectStorage: [{ cidr: 10.20.0.0/24 }] # a private endpoint, at the port of its URL
    modelProviders: [{ namespace: model-gateway, ports: [4000] }]
    denied: [25.0.0.0/8]                    # public, and yet the company's own
""",
    "ado:config": """\
ado:config:
  orchestration: { maxParallelAgents: 20 }
  quality:
    tests: { required: true, minCoverage: 90 }
  observability:
    logging: { level: warn }
""",
}
OF_SHARED: Final[Mapping[str, str]] = {
    "pod": """\
ado:gateway:
  image: { tag: 1.4.2 }
  pod:                                      # of the gateway's pods, beside `ado:pods`
    envFrom: [{ secret: gateway-flags }]
    volumes:
      - { name: routes, configMap: gateway-routes, mountPath: /etc/routes }
    topologySpread: [{ topologyKey: example.com/rack }]
    priorityClassName: agents
    serviceAccount:
      annotations: { eks.amazonaws.com/role-arn: "arn:aws:iam::123456789012:role/gateway" }
""",
    "container": """\
ado:gateway:
  image: { tag: 1.4.2 }
  pod:
    volumes: [{ name: mesh, emptyDir: 64Mi }]
    sidecars:
      - name: mesh
        image: registry.example.com/mesh:2.1.0
        env: { LOG_LEVEL: warn }
        ports: { inbound: 15006 }
        volumeMounts: [{ name: mesh, mountPath: /var/run/mesh }]
        resources:
          requests: { cpu: 50m, memory: 64Mi }
          limits: { cpu: 500m, memory: 128Mi }
""",
    "image": """\
ado:postgres:
  image:                                    # one with extensions, made from the official one
    repository: registry.example.com/data/postgres-pgvector
    digest: sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
""",
    "resources": """\
ado:dashboard:
  image: { tag: 1.4.2 }
  resources:
    requests: { cpu: 100m, memory: 128Mi, ephemeral-storage: 1Gi }
    limits: { cpu: 1, memory: 512Mi, ephemeral-storage: 1Gi }
""",
    "health": """\
ado:dashboard:
  image: { tag: 1.4.2 }
  health: { ready: /readyz, live: /livez }
""",
    "disruption": """\
ado:dashboard:
  image: { tag: 1.4.2 }
  replicas: 4
  disruption: { maxUnavailable: 50% }
""",
    "place": """\
ado:networkPolicies:
  egress:
    dns: [{ namespace: openshift-dns, ports: [5353] }]
    apiServer: [{ cidr: 10.0.0.1/32 }, { cidr: 10.0.0.2/32 }]
""",
    "openings": """\
ado:networkPolicies:
  extra:
    workers:
      egress: [{ cidr: 10.30.0.7/32, ports: [22], why: Git over SSH }]
    postgres:
      ingress: [{ namespace: reports, ports: [5432], why: nightly reports }]
""",
    "opening": """\
ado:networkPolicies:
  extra:
    orchestrator:
      egress: [{ namespace: mail, ports: [25], why: tells of finished tasks }]
""",
    "reference": """\
ado:secrets:
  redisPassword: { secret: passwords, key: redis }
  databasePassword: { secret: passwords, key: postgresql }
""",
}
"""Of the mappings that several sections have, by their headings."""
