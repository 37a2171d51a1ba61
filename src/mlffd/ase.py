"""The ASE calculator, where users look for it: ``mlffd.ase.Calculator``."""

from mlffd.runtimes.ase_calculator import Calculator

__all__ = ["Calculator"]
