"""One zone in several places: a primary that decides, and replicas that follow it."""

from .places import PlaceStore, Replica
from .store import ReplicatedObjectStore, WritePolicy

__all__ = ["PlaceStore", "Replica", "ReplicatedObjectStore", "WritePolicy"]
