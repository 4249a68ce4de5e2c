"""The rights that each service needs in PostgreSQL and no more: a role of its own that sees its own schema."""

from __future__ import annotations

import importlib.metadata
from typing import Final

from backbone.application import ENTRY_POINTS
from backbone.database import schema_of
from backbone.migrations import VERSION_TABLE
from backbone.tables import event_log

PREFIX: Final = "kruispost"
OPERATOR: Final = "operator"


def installed_services() -> tuple[str, ...]:
    """Return the services that are installed, by name."""
    return tuple(sorted(point.name for point in importlib.metadata.entry_points(group=ENTRY_POINTS)))


def role_of(service: str, prefix: str = PREFIX) -> str:
    """Return the role of a service, such as kruispost_exact_writer."""
    return f"{prefix}_{schema_of(service)}"


def statements(prefix: str = PREFIX) -> list[str]:
    """Return what makes the roles, in SQL; to be run by the owner of the migrated tables, again after any release.

    A service may add to its event log and read it, and never change it; it cannot make or drop tables, and sees nobody else's.
    The operator, for people and their commands, has the rights of all of them. None has a password until somebody sets one.
    """
    services = installed_services()
    operator = f'"{prefix}_{OPERATOR}"'
    told = [_role(f"{prefix}_{OPERATOR}")]
    for service in services:
        name, schema = role_of(service, prefix), schema_of(service)
        role = f'"{name}"'
        told += [
            _role(name),
            f"GRANT USAGE ON SCHEMA {schema} TO {role}",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}",
            f"REVOKE UPDATE, DELETE ON {schema}.{event_log.name} FROM {role}",
            f"REVOKE INSERT, UPDATE, DELETE ON {schema}.{VERSION_TABLE} FROM {role}",
            f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}",
            # What a later release adds is made by the same owner, who need not think of this then.
            f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role}",
            f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT USAGE ON SEQUENCES TO {role}",
            f"GRANT {role} TO {operator}",
        ]
    return told


def _role(name: str) -> str:
    made = f'CREATE ROLE "{name}" LOGIN'
    return f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}') THEN {made}; END IF; END $$"
