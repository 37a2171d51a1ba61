"""Checks: plain functions that measure one property of a subject and return evidence.

The modules that hold checks are imported here, so that importing the package registers them all.
"""

from mlffd.checks import (
    accuracy,
    artifacts,
    atoms,
    composition,
    conservation,
    counters,
    cutoff,
    datasets,
    forces,
    labels,
    leakage,
    loading,
    matching,
    periodicity,
    precision,
    symmetry,
    zero_vectors,
)

__all__ = [
    "accuracy",
    "artifacts",
    "atoms",
    "composition",
    "conservation",
    "counters",
    "cutoff",
    "datasets",
    "forces",
    "labels",
    "leakage",
    "loading",
    "matching",
    "periodicity",
    "precision",
    "symmetry",
    "zero_vectors",
]
