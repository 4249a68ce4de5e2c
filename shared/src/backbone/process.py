"""Running a service as a process."""

from __future__ import annotations

from backbone.application import Application, Build, Context, Readiness, Worker

__all__ = ["Application", "Build", "Context", "Readiness", "Worker"]
