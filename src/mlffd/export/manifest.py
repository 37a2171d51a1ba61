"""The manifest beside an artifact: all that somebody needs who has the file and no mlffd."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from mlffd.errors import InputError
from mlffd.files import write_text_atomically

#: A manifest is small; nothing larger is read.
LARGEST = 2**20

Sha256 = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Measured = Annotated[float, Field(ge=0, allow_inf_nan=False)]

_DTYPES = {"fp32": torch.float32, "fp64": torch.float64}

#: Those that round to what they are called only; the others store or compute in fewer bits.
FULL_PRECISIONS = tuple(_DTYPES)


class _Strict(BaseModel):
    # A deviation that is not finite exists in memory, but in no manifest.
    model_config = ConfigDict(extra="forbid", frozen=True, revalidate_instances="always")


class TensorSpec(_Strict):
    """An input or output of an artifact.

    Attributes:
        name: as the runtime knows it; in order where the runtime knows no names.
        dtype: such as ``float32``.
        shape: a number, or the name of a size: atoms, edges, structures.
        unit: of the values; empty where they have none.
        meaning: in one sentence.
    """

    name: str
    dtype: str
    shape: tuple[PositiveInt | str, ...]
    unit: str
    meaning: str


class Deviation(_Strict):
    """How far predictions are from those of the student in eager float64.

    Attributes:
        energy_per_atom: eV per atom, worst structure; reference energies are the same in both.
        forces: eV/Å, worst component.
        forces_rms: eV/Å, over all components of a structure, worst structure.
        virial: eV per atom, worst component; None where there is no virial.
    """

    energy_per_atom: Measured
    forces: Measured
    forces_rms: Measured
    virial: Measured | None = None


class Manifest(_Strict):
    """What an artifact is, how to run it, and how well it was verified.

    Attributes:
        format_version: of this layout.
        format: name of the format, see `mlffd.export.formats`.
        precision: ``fp32``, ``fp64``, ``fp16``, ``bf16``, ``int8-dynamic``, ...
        student: its name.
        architecture: its class.
        revision: of its function.
        config: of its architecture.
        weights: fingerprint of the weights that were exported.
        cutoff: Å.
        max_z: largest atomic number that it takes.
        elements: symbols of those that it was trained on; None: nobody knows.
        honours_cells: whether neighbours are to be sought across periodic boundaries.
        neighbours: ``input``: the caller finds them; ``inside``: the graph does, for one molecule.
        inputs: in order.
        outputs: in order.
        versions: of what made and verified it, by package; opset too, where there is one.
        options: what else the exporter was told.
        size: bytes of the artifact.
        sha256: of the artifact.
        tolerance: it was verified to.
        measured: when it was verified.
        snippet: a program that runs it with the bare runtime; placeholders are explained in it.
        created: time and command.
    """

    format_version: Literal[1] = 1
    format: str
    precision: str
    student: str
    architecture: str
    revision: PositiveInt
    config: dict[str, int | float]
    weights: Sha256
    cutoff: Positive
    max_z: PositiveInt
    elements: tuple[str, ...] | None
    honours_cells: bool
    neighbours: Literal["input", "inside"]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    versions: dict[str, str]
    options: dict[str, Any] = {}
    size: PositiveInt
    sha256: Sha256
    tolerance: Deviation
    measured: Deviation
    snippet: str
    created: dict[str, str]

    @property
    def dtype(self) -> torch.dtype:
        """Of positions and forces outside the artifact, whatever it computes in."""
        return dtype_of(self.precision)

    @property
    def has_virial(self) -> bool:
        """Whether it gives a virial."""
        return any(output.name == "virial" for output in self.outputs)


def dtype_of(precision: str) -> torch.dtype:
    """Of positions and forces in an artifact of a precision, see `Manifest.dtype`."""
    return _DTYPES.get(precision, torch.float32)


def manifest_path(artifact: Path) -> Path:
    """Where the manifest of an artifact is: beside it, its name and ``.json``."""
    return artifact.with_name(f"{artifact.name}.json")


def write_manifest(artifact: Path, manifest: Manifest) -> None:
    """Write the manifest of an artifact.

    Raises:
        InputError: the folder cannot be written to.
    """
    write_text_atomically(manifest_path(artifact), manifest.model_dump_json(indent=1) + "\n")


def read_manifest(artifact: Path) -> Manifest:
    """Read the manifest of an artifact; it says nothing yet about the artifact itself.

    Raises:
        InputError: it is missing, or not a manifest that this program knows.
    """
    path = manifest_path(artifact)
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(f"{path}: larger than {LARGEST} bytes, expected a manifest")
        data = json.loads(path.read_text(encoding="utf-8"))
        return Manifest.model_validate(data)
    except FileNotFoundError as error:
        raise InputError(f"{path}: the manifest of {artifact.name} is missing") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}: not a manifest: {key}: {first['msg']}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON: {error}") from error


def sha256_of(path: Path) -> str:
    """``"sha256:"`` and the digest of a file."""
    with path.open("rb") as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"


def require_intact(artifact: Path, manifest: Manifest) -> None:
    """Refuse an artifact that is not the file that its manifest describes.

    Raises:
        InputError: its size or digest differ, or it cannot be read.
    """
    try:
        size, digest = artifact.stat().st_size, sha256_of(artifact)
    except OSError as error:
        raise InputError(f"{artifact}: cannot be read: {error.strerror}") from error
    if (size, digest) != (manifest.size, manifest.sha256):
        raise InputError(
            f"{artifact}: not the file that its manifest describes: {size} bytes, {digest};"
            f" expected {manifest.size} bytes, {manifest.sha256}"
        )
