"""Redis: a cluster of three masters, with or without replicas, started by scripts of our own."""

from ado_infra.data.redis.redis import Redis, RedisArgs

__all__ = ["Redis", "RedisArgs"]
