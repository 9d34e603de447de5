"""Real engines as processes of our own: Redis and Kafka without Docker, gone when we are gone."""

from kinbid.engines.apache_kafka import ApacheKafka
from kinbid.engines.errors import (
    EngineError,
    EngineMissingError,
    EngineStartError,
    PortBusyError,
)
from kinbid.engines.installed import find_apache_kafka, find_redis_server
from kinbid.engines.kafka_broker import EmbeddedKafka, KafkaEngine
from kinbid.engines.kafka_cluster import KafkaCluster
from kinbid.engines.ports import ensure_port_is_free, free_port
from kinbid.engines.process import ChildProcess
from kinbid.engines.redis_cluster import RedisCluster
from kinbid.engines.redis_console import RedisConsole
from kinbid.engines.redis_server import RedisEngine

__all__ = [
    "ApacheKafka",
    "ChildProcess",
    "EmbeddedKafka",
    "EngineError",
    "EngineMissingError",
    "EngineStartError",
    "KafkaCluster",
    "KafkaEngine",
    "PortBusyError",
    "RedisCluster",
    "RedisConsole",
    "RedisEngine",
    "ensure_port_is_free",
    "find_apache_kafka",
    "find_redis_server",
    "free_port",
]
