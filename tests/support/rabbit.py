"""A RabbitMQ whose connections can be broken, for the tests of what happens then."""

from __future__ import annotations

import secrets
from typing import Self

from sqlalchemy.engine import make_url
from support.engines import AMQP_URL
from support.proxy import proxy_to

from backbone.broker_rabbitmq import RabbitBroker, remove_prefixed
from backbone.telemetry import Telemetry
from contracts.topology import Topology


class Rabbit:
    """A broker behind a proxy, with names of its own."""

    def __init__(self, topology: Topology) -> None:
        self.prefix = f"kp_test_{secrets.token_hex(6)}."
        self._topology = topology

    async def __aenter__(self) -> Self:
        """Open the way to it."""
        url = make_url(AMQP_URL)
        self._proxying = proxy_to(url.host or "127.0.0.1", url.port or 5672)
        self.proxy = await self._proxying.__aenter__()
        through = url.set(host="127.0.0.1", port=self.proxy.port).render_as_string(hide_password=False)
        self.telemetry = Telemetry("test")
        self.broker = RabbitBroker(through, prefix=self.prefix, telemetry=self.telemetry)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave nothing of it there."""
        self.proxy.reopen()
        await self.broker.close()
        await self._proxying.__aexit__(None, None, None)
        await remove_prefixed(AMQP_URL, self.prefix, self._topology)
