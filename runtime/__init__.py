"""What every kinbid process needs: settings, logs, clock, the Redis link, Kafka, its admin port.

The only layer between the pure ``models`` and the processes; it knows nothing of bids or persons.
"""

__all__ = [
    "admin",
    "clock",
    "kafka",
    "link",
    "logs",
    "parent",
    "redis_link",
    "redis_url",
    "run_file",
    "settings",
]
