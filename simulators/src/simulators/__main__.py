"""`python -m simulators chargebee|exact|world`: the stand-ins on real ports."""

import argparse
import asyncio

from simulators.chargebee.app import create_app as create_chargebee
from simulators.chargebee.settings import ChargebeeSettings, WebhookEndpoint
from simulators.exact.app import create_app as create_exact
from simulators.exact.settings import ExactSettings
from simulators.world.serve import WorldOptions, serve, serve_world


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="simulators", description="Strict stand-ins of Chargebee and Exact Online.")
    commands = parser.add_subparsers(dest="command", required=True)
    chargebee = commands.add_parser("chargebee", help="an empty Chargebee site")
    exact = commands.add_parser("exact", help="an Exact Online with a demo administration")
    world = commands.add_parser("world", help="both, and a seeded business month between them")
    for each in (chargebee, exact):
        each.add_argument("--port", type=int, default=0, help="0 takes any free port")
    for each in (chargebee, world):
        each.add_argument("--webhook-url")
        each.add_argument("--webhook-username", default="")
        each.add_argument("--webhook-password", default="")
        each.add_argument("--retry-scale", type=float, help="factor on the waits before webhook retries")
    for each in (chargebee, exact, world):
        each.add_argument("--host", default="127.0.0.1")
        each.add_argument("--minute-seconds", type=float, default=60.0, help="length of the limits' minute")
    world.add_argument("--seed", type=int, default=42)
    world.add_argument("--documents", type=int, default=300, help="at least this many documents")
    world.add_argument("--chargebee-port", type=int, default=0)
    world.add_argument("--exact-port", type=int, default=0)
    world.add_argument("--exact-client-id", default="demo-client")
    world.add_argument("--exact-client-secret", default="demo-client-secret")
    world.add_argument("--play-seconds", type=float, default=10.0, help="how long the month takes")
    world.add_argument("--wait-for-start", action="store_true", help="begin at POST /_simulator/start")
    return parser


def _world_options(arguments: argparse.Namespace) -> WorldOptions:
    members = {name: value for name, value in vars(arguments).items() if name != "command"}
    if members["retry_scale"] is None:
        members["retry_scale"] = 0.002
    return WorldOptions(**members)


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    arguments = _parser().parse_args()
    if arguments.command == "world":
        asyncio.run(serve_world(_world_options(arguments)))
        return
    if arguments.command == "exact":
        exact = create_exact(ExactSettings(minute_seconds=arguments.minute_seconds))
        asyncio.run(serve({"exact": (exact, arguments.port)}, host=arguments.host))
        return
    endpoints: tuple[WebhookEndpoint, ...] = ()
    if arguments.webhook_url is not None:
        endpoints = (WebhookEndpoint(arguments.webhook_url, arguments.webhook_username, arguments.webhook_password),)
    settings = ChargebeeSettings(
        webhooks=endpoints, minute_seconds=arguments.minute_seconds, retry_scale=arguments.retry_scale or 1.0
    )
    asyncio.run(serve({"chargebee": (create_chargebee(settings), arguments.port)}, host=arguments.host))


if __name__ == "__main__":
    main()
