"""Engines as files: pinned in a lock, fetched, verified, cached."""

from __future__ import annotations

from rtmbench.artifacts.cache import Bundle, BundleStatus, Cache, default_root
from rtmbench.artifacts.lock import Artifact, Lock, LockedBundle, load_lock

__all__ = [
    "Artifact",
    "Bundle",
    "BundleStatus",
    "Cache",
    "Lock",
    "LockedBundle",
    "default_root",
    "load_lock",
]
