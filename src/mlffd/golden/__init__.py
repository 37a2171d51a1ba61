"""Goldens: reviewed expected results, with tolerances and provenance."""
