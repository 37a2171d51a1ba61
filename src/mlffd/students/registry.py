"""The architectures that mlffd knows, by name."""

from collections.abc import Callable, Mapping

from torch import Tensor

from mlffd.errors import InputError
from mlffd.students.base import Student

_ARCHITECTURES: dict[str, type[Student]] = {}


def register(name: str) -> Callable[[type[Student]], type[Student]]:
    """Class decorator: make an architecture known under the name that checkpoints state."""

    def add(cls: type[Student]) -> type[Student]:
        if name in _ARCHITECTURES:
            raise ValueError(f"architecture {name!r} is registered twice")
        cls.architecture = name
        _ARCHITECTURES[name] = cls
        return cls

    return add


def architectures() -> dict[str, type[Student]]:
    """All registered architectures."""
    return dict(_ARCHITECTURES)


def architecture(name: str) -> type[Student]:
    """The class registered under a name.

    Raises:
        InputError: nothing is.
    """
    try:
        return _ARCHITECTURES[name]
    except KeyError:
        raise InputError(
            f"architecture {name!r} is unknown; known: {', '.join(sorted(_ARCHITECTURES))}"
        ) from None


def build(name: str, config: Mapping[str, object]) -> Student:
    """A student with initial weights.

    Raises:
        InputError: the architecture is unknown or does not accept the config.
    """
    return architecture(name).from_config(config)


def identify(weights: Mapping[str, Tensor]) -> tuple[str, dict[str, int | float]]:
    """The one architecture, and its config, that weights of these names and shapes belong to.

    Raises:
        InputError: none or several fit.
    """
    fits = {
        name: config
        for name, cls in _ARCHITECTURES.items()
        if (config := cls.infer_config(weights)) is not None
    }
    if len(fits) != 1:
        found = f"{len(fits)} architectures ({', '.join(sorted(fits))})" if fits else "none"
        raise InputError(
            f"names and shapes of the weights fit {found} of: {', '.join(sorted(_ARCHITECTURES))}"
        )
    return next(iter(fits.items()))
