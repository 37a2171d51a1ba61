"""Labelled structures, predictions of known error, and records about them."""

import numpy as np

from mlffd.golden.metrics import metric_records
from mlffd.golden.records import (
    EnvironmentEntry,
    Predictions,
    PredictionTolerance,
    StudentGolden,
    StudentRecord,
)
from mlffd.golden.residuals import residuals
from mlffd.structures.structure import Structure

WEIGHTS = "sha256:" + "a" * 64
OTHER_WEIGHTS = "sha256:" + "b" * 64
DATASET = "sha256:" + "d" * 64
OTHER_DATASET = "sha256:" + "e" * 64


def make_structures(count=6, seed=0):
    """Molecules of 1 to 5 atoms with random labels."""
    generator = np.random.default_rng(seed)
    structures = []
    for index in range(count):
        atoms = 1 + index % 5
        structures.append(
            Structure(
                numbers=generator.choice([1, 6, 8], size=atoms),
                positions=generator.normal(size=(atoms, 3)),
                energy=float(generator.normal()),
                forces=generator.normal(size=(atoms, 3)),
                name=f"molecule-{index}",
            )
        )
    return structures


def perturbed(structures, scale, seed=1):
    """Predictions that miss the labels by Gaussian errors."""
    generator = np.random.default_rng(seed)
    return Predictions.concatenate(
        [s.name for s in structures],
        [s.energy + scale * float(generator.normal()) for s in structures],
        [s.forces + scale * generator.normal(size=s.forces.shape) for s in structures],
    )


def scaled(structures, predictions, factor):
    """Predictions whose every error is ``factor`` times that of others."""
    return Predictions.concatenate(
        list(predictions.names),
        [
            s.energy + factor * (e - s.energy)
            for s, e in zip(structures, predictions.energy, strict=True)
        ],
        [
            s.forces + factor * (predictions.forces_of(i) - s.forces)
            for i, s in enumerate(structures)
        ],
    )


def make_entry(structures, predictions, *, tolerance=0.1, command="mlffd golden accept"):
    records = metric_records(residuals(structures, predictions))
    return EnvironmentEntry(
        metrics={n: m.model_copy(update={"tolerance": tolerance}) for n, m in records.items()},
        predictions=PredictionTolerance(energy_per_atom=1e-9, forces=1e-8, reason="rounding"),
        provenance={"command": command, "versions": {"torch": "2.13.0"}},
    )


def make_record(structures, predictions, *, environment="cpu", **changes):
    fields = {
        "subject": "tiny",
        "weights": WEIGHTS,
        "dataset": DATASET,
        "revision": 2,
        "environments": {environment: make_entry(structures, predictions)},
        "predictions_file": "unwritten.npz",
        "predictions_sha256": "0" * 64,
    }
    return StudentRecord(**{**fields, **changes})


def make_golden(structures, predictions, **changes):
    return StudentGolden(make_record(structures, predictions, **changes), predictions)
