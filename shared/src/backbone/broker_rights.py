"""The rights that each service needs in RabbitMQ and no more, as they follow from the topology: its own queues and exchanges."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from backbone.roles import OPERATOR, PREFIX, role_of
from contracts.topology import PUBLISHERS, Topology

ALL = ".*"


@dataclass(frozen=True, slots=True)
class Rights:
    """What a user may make and delete, publish to, and read: three regular expressions of names."""

    configure: str
    write: str
    read: str


OPERATOR_RIGHTS = Rights(ALL, ALL, ALL)  # for people and their commands


def permissions(topology: Topology, *, vhost: str, users: str = PREFIX, prefix: str = "") -> list[dict[str, str]]:
    """Return what each service's user and the operator may do, as RabbitMQ imports it; `users` is what their names begin with."""
    services = sorted({queue.owner for queue in topology.queues})
    given = {role_of(service, users): rights_of(service, topology, prefix) for service in services}
    given[f"{users}_{OPERATOR}"] = OPERATOR_RIGHTS
    return [{"user": user, "vhost": vhost, **asdict(rights)} for user, rights in given.items()]


def rights_of(service: str, topology: Topology, prefix: str = "") -> Rights:
    """Return the rights of a service. RabbitMQ asks for writing to a queue that is bound, and reading from what it is bound to.

    None may use the nameless exchange, through which a message reaches any queue.
    """
    own = topology.own(service)
    returns = {queue.returns for queue in own.queues}
    queues = [name for queue in own.queues for name in queue.names]
    published = {exchange for exchange in topology.exchanges if service in PUBLISHERS[exchange]}
    bound = {binding.exchange for queue in own.queues for binding in queue.bindings}
    return Rights(
        configure=_only([*own.exchanges, *returns, *queues], prefix),
        write=_only([*published, *returns, *queues], prefix),
        read=_only([*bound, *returns, *queues], prefix),
    )


def _only(names: Iterable[str], prefix: str) -> str:
    """Return an expression for these names and no others."""
    return f"^({'|'.join(re.escape(prefix + name) for name in sorted(names))})$"
