"""A stand-in for the platform's private images: api-gateway, dashboard, orchestrator, worker.

It listens where the real image listens, connects to whatever it was given and says so: health
endpoints, metrics, a page, a WebSocket echo. It is not the platform: it runs no agent, keeps no
data, and knows none of the real API.

It runs alone inside its image, on Debian's Python packages, so it imports nothing of `sandbox`.
"""
