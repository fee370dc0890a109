"""Every limitation and finding that the documents state, as an experiment that can be run."""

from rtmbench.claims.model import Claim, Observation, Outcome
from rtmbench.claims.registry import CLAIMS, select

__all__ = ["CLAIMS", "Claim", "Observation", "Outcome", "select"]
