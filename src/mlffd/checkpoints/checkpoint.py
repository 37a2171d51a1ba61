"""Read a checkpoint: one that can be trusted to be what it says, or an error that says why not."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mlffd.checkpoints.fingerprint import fingerprint
from mlffd.checkpoints.layouts import StateDict, find_state_dict
from mlffd.checkpoints.plain import is_plain_scalar, require_plain, shown
from mlffd.checkpoints.safetensors_reading import SUFFIX, read_safetensors_file
from mlffd.checkpoints.safety import read_torch_file
from mlffd.checkpoints.validation import (
    check_against,
    check_kinds,
    check_radial_basis,
    count_non_finite,
)
from mlffd.checkpoints.validation import require_finite as check_finite
from mlffd.checkpoints.writing import FORMAT, FORMAT_VERSION, check_elements
from mlffd.errors import InputError
from mlffd.students import Student, architectures, build, identify


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A checkpoint file that has been read and checked.

    Attributes:
        path: where it was read from.
        architecture: name in the registry of students.
        config: complete, as the architecture reports it; states the revision.
        weights: the student's whole state dict, under its plain names, on the CPU.
        fingerprint: of the weights.
        elements: atomic numbers that the student was trained on; None: nobody knows.
        elements_source: "stated", "inferred from weights" or "unknown".
        training: provenance: what the file says about how it was made; may be empty.
        declared_parameters: how many parameters the file says it has; None: it does not say.
        layout: ``safetensors``, or where in the file the weights were, see `StateDict`.
        notes: one sentence for each thing that was normalised, inferred or odd.
    """

    path: Path
    architecture: str
    config: dict[str, int | float]
    weights: dict[str, Tensor]
    fingerprint: str
    elements: frozenset[int] | None
    elements_source: str
    training: dict[str, object]
    declared_parameters: int | None
    layout: str
    notes: tuple[str, ...]

    @property
    def revision(self) -> int:
        """Of the student's function."""
        return int(self.config["revision"])

    @property
    def parameter_count(self) -> int:
        """How many trainable numbers there are (buffers not counted)."""
        return _fresh(self.architecture, self.config, "meta").parameter_count

    def non_finite(self) -> dict[str, int]:
        """How many values are NaN or infinite, by name of weight; only names that have some."""
        return count_non_finite(self.weights)

    def student(self, *, dtype: torch.dtype = torch.float32) -> Student:
        """A new student with these weights: on the CPU, for evaluation, without gradients.

        Args:
            dtype: of its network; what must stay float64 does.
        """
        student = _fresh(self.architecture, self.config, "cpu").to(dtype)
        student.load_state_dict(self.weights)
        return student.eval().requires_grad_(False)


def load_checkpoint(
    path: str | os.PathLike[str],
    *,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
) -> Student:
    """Read a checkpoint file in any known layout and build its student, for evaluation.

    Raises:
        InputError: see `read_checkpoint`.
    """
    return read_checkpoint(path).student(dtype=dtype).to(device)


def read_checkpoint(
    path: str | os.PathLike[str], *, weights: str | None = None, require_finite: bool = True
) -> Checkpoint:
    """Read a checkpoint file that nobody vouches for, in any known layout.

    Args:
        path: of the file.
        weights: key of the state dict, where the file has several.
        require_finite: refuse NaN and infinite weights.

    Raises:
        InputError: the file is unsafe, damaged, ambiguous, newer than this program, or its weights
            are not exactly those of a known architecture in its config. The message names file
            and key.
    """
    path = Path(path)
    where = str(path)
    is_safetensors = path.suffix == SUFFIX
    loaded = read_safetensors_file(path) if is_safetensors else read_torch_file(path)
    found = find_state_dict(loaded, where, weights=weights)
    own = found.metadata.get("format") == FORMAT
    if own:
        _check_own_header(found.metadata, where)
    check_kinds(found.weights, where)
    if require_finite:
        check_finite(found.weights, where)
    notes = list(found.notes)
    architecture, config = _resolve_config(found, own, where, notes)
    try:
        reference = _fresh(architecture, config, "meta")
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    if check_against(found.weights, reference.state_dict(), where):
        notes.append("weights are float64")
    check_radial_basis(found.weights, reference.cutoff, where)
    # In the architecture's order, so that every layout of the same weights reads the same.
    canonical = {name: found.weights[name].contiguous() for name in reference.state_dict()}
    computed = fingerprint(canonical)
    if own and found.metadata["fingerprint"] != computed:
        raise InputError(
            f"{where}: fingerprint: the file states {shown(found.metadata['fingerprint'])},"
            f" its weights have {computed!r}: one of them was changed"
        )
    if own and found.metadata.get("source", computed) != computed:
        notes.append(f"weights were rounded: they were {shown(found.metadata['source'])}")
    elements, source = _elements(found.metadata, own, architecture, canonical, where)
    return Checkpoint(
        path=path,
        architecture=architecture,
        config=reference.config,
        weights=canonical,
        fingerprint=computed,
        elements=elements,
        elements_source=source,
        training=_training(found.metadata, own, where),
        declared_parameters=_declared(found.metadata, reference.parameter_count, notes),
        layout="safetensors" if is_safetensors else found.layout,
        notes=tuple(notes),
    )


def _check_own_header(metadata: Mapping[str, object], where: str) -> None:
    version = metadata.get("format_version")
    if type(version) is not int or version < 1:
        raise InputError(f"{where}: format_version: expected an integer from 1 on")
    if version > FORMAT_VERSION:
        raise InputError(
            f"{where}: format_version: this mlffd reads up to {FORMAT_VERSION},"
            " the file is newer: update mlffd"
        )
    for key in ("architecture", "fingerprint", "elements", "num_parameters", "training"):
        if key not in metadata:
            raise InputError(f"{where}: missing key {key!r}, which format {FORMAT} requires")
    name = metadata["architecture"]
    if not isinstance(name, str) or name not in architectures():
        raise InputError(
            f"{where}: architecture {shown(name)} is unknown;"
            f" known: {', '.join(sorted(architectures()))}"
        )


def _resolve_config(
    found: StateDict, own: bool, where: str, notes: list[str]
) -> tuple[str, dict[str, Any]]:
    """Architecture and config: as the file states them where it does, as the shapes say else.

    The shapes must agree in both cases. They are compared before anything of the stated size is
    built, so that a config cannot ask for more memory than its weights take.
    """
    inferred: dict[str, int | float] | None
    if own:
        architecture = str(found.metadata["architecture"])
        inferred = architectures()[architecture].infer_config(found.weights)
        if inferred is None:
            raise InputError(f"{where}: names and shapes of the weights do not fit {architecture}")
    else:
        try:
            architecture, inferred = identify(found.weights)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
    if found.config is None:
        if own:
            raise InputError(f"{where}: missing key 'config', which format {FORMAT} requires")
        notes.append(f"config inferred from shapes ({architecture})")
        return architecture, dict(inferred)
    stated = dict(found.config)
    if "revision" not in stated:
        if own or inferred["revision"] != 1:
            raise InputError(
                f"{where}: config: missing key 'revision': the weights have names that revision 1"
                " does not have, so the function cannot be told"
            )
        notes.append("config states no revision: taken as revision 1, the legacy function")
        stated["revision"] = 1
    # Later revisions may share names and shapes, so only the strict comparison can tell of them.
    for key, value in ((k, v) for k, v in inferred.items() if k != "revision"):
        if key not in stated:
            notes.append(f"config states no {key}: {value} inferred from the weights")
            stated[key] = value
        elif not _agree(stated[key], value):
            raise InputError(
                f"{where}: config: {key} is {_brief(stated[key])}, the weights say {value}"
            )
    return architecture, stated


def _agree(stated: object, inferred: int | float) -> bool:
    if not isinstance(stated, int | float):
        return False
    return abs(stated - inferred) <= 1e-6 * abs(inferred)


def _brief(value: object) -> str:
    return str(value) if isinstance(value, int | float) else shown(value)


def _elements(
    metadata: Mapping[str, object],
    own: bool,
    architecture: str,
    weights: Mapping[str, Tensor],
    where: str,
) -> tuple[frozenset[int] | None, str]:
    if own and "source" in metadata and metadata["elements"] is None:
        return None, "unknown"  # the file that it was made from did not tell
    if own:
        return frozenset(check_elements(metadata["elements"], where)), "stated"
    trained = architectures()[architecture].trained_elements(weights)
    return trained, "unknown" if trained is None else "inferred from weights"


def _training(metadata: Mapping[str, object], own: bool, where: str) -> dict[str, object]:
    """Our provenance; of other files, what lies beside the weights and is a plain scalar."""
    if own:
        training = metadata["training"]
        require_plain(training, f"{where}: training")
        if not isinstance(training, dict):
            raise InputError(f"{where}: training: expected a dict")
        return training
    return {
        key: value
        for key, value in metadata.items()
        if key != "num_parameters" and is_plain_scalar(value)
    }


def _declared(metadata: Mapping[str, object], actual: int, notes: list[str]) -> int | None:
    if "num_parameters" not in metadata:
        return None
    declared = metadata["num_parameters"]
    if type(declared) is not int or not is_plain_scalar(declared):
        notes.append("num_parameters is not an integer: ignored")
        return None
    if declared != actual:
        notes.append(f"the file states {declared} parameters, its weights have {actual}")
    return declared


@contextmanager
def _clean_construction(device: str) -> Iterator[None]:
    """Build in float32 whatever the caller's default dtype, and leave its random numbers alone."""
    dtype = torch.get_default_dtype()
    with torch.random.fork_rng(devices=[]), torch.device(device):
        torch.set_default_dtype(torch.float32)
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)


def _fresh(architecture: str, config: Mapping[str, object], device: str) -> Student:
    with _clean_construction(device):
        return build(architecture, config)
