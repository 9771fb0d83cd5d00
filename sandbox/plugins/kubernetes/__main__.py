"""`python -m sandbox.plugins.kubernetes ENGINE_ADDRESS`, as the engine starts it."""

from __future__ import annotations

from sandbox.plugins.kubernetes.server import KubernetesProvider
from sandbox.plugins.servicer import serve

serve(KubernetesProvider())
