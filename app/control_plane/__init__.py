"""The one object that holds everything, and the only place that picks adapters."""

from __future__ import annotations

from app.control_plane.assembly import ASSETS
from app.control_plane.plane import ControlPlane

__all__ = ["ASSETS", "ControlPlane"]
