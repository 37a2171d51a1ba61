"""Teachers: where labels come from. GFN2-xTB, or any calculator of ASE.

GFN2-xTB: Bannwarth, Ehlert and Grimme, J. Chem. Theory Comput. 15, 1652 (2019).
"""

import importlib
import json
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from typing import cast

from ase.calculators.calculator import BaseCalculator, Calculator

from mlffd.errors import InputError
from mlffd.optional import import_optional
from mlffd.structures.hdf5_schema import Metadata

#: Makes a calculator of ASE.
Teacher = Callable[[], BaseCalculator]

#: The teacher where none is asked for.
DEFAULT = "mlffd.distill.teacher:gfn2"

#: tblite's factor on its convergence thresholds: 15 times more exact than 1, at 3% of the time.
ACCURACY = 0.1


def gfn2() -> Calculator:
    """GFN2-xTB through tblite; neutral, with the lowest spin that atoms do not say otherwise.

    Raises:
        InputError: tblite is missing.
    """
    made = import_optional("tblite.ase", extra="label").TBLite(
        method="GFN2-xTB", accuracy=ACCURACY, verbosity=0
    )
    return cast(Calculator, made)


def load_teacher(name: str) -> Teacher:
    """The callable that ``module:callable`` names.

    It is called without arguments, once for each structure, and returns a calculator of ASE. A
    calculator that has seen another structure may start from its solution, and labels would depend
    on the order: one that is costly to make, and has no such memory, may be returned again.

    Raises:
        InputError: there is no such module or callable, or what it returns is no calculator.
    """
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise InputError(f"teacher: {name!r}: expected module:callable, such as {DEFAULT}")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise InputError(f"teacher: {name!r}: {error}") from error
    if not callable(found):
        raise InputError(f"teacher: {name!r} is a {type(found).__name__}, expected a callable")
    return cast(Teacher, found)


def describe_teacher(name: str) -> Metadata:
    """Where labels come from, to be stored beside them.

    Returns:
        ``teacher``, the name; ``method``, ``accuracy`` and ``settings`` as far as the calculator
        states its parameters; ``program`` and its ``version``.

    Raises:
        InputError: see `load_teacher`; or it cannot be called.
    """
    teacher = load_teacher(name)
    try:
        calculator: object = teacher()
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"teacher: {name!r}: {type(error).__name__}: {error}") from error
    if not isinstance(calculator, BaseCalculator):
        kind = type(calculator).__name__
        raise InputError(f"teacher: {name!r} returns a {kind}, expected a calculator of ASE")
    parameters = dict(getattr(calculator, "parameters", None) or {})
    package = type(calculator).__module__.partition(".")[0]
    described: Metadata = {
        "teacher": name,
        "method": str(parameters.get("method", type(calculator).__name__)),
        "program": package,
        "version": _version(package),
        "settings": json.dumps(parameters, sort_keys=True, default=str),
    }
    if isinstance(accuracy := parameters.get("accuracy"), int | float):
        described["accuracy"] = accuracy
    return described


def _version(package: str) -> str:
    """Of the distribution that holds an import package."""
    for distribution in packages_distributions().get(package, [package]):
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return "unknown"
