"""The composition root: builds a whole server, and is the only place that picks adapters."""

from __future__ import annotations

from app.control_plane.adapters import ASSETS
from app.control_plane.plane import ControlPlane

__all__ = ["ASSETS", "ControlPlane"]
