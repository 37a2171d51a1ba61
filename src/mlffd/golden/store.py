"""Golden records as files: a JSON text that diffs well, and arrays beside it."""

import glob
import hashlib
import io
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel, ValidationError

from mlffd.errors import InputError
from mlffd.files import make_folder, write_atomically, write_text_atomically
from mlffd.golden.records import (
    CountersRecord,
    DatasetRecord,
    Predictions,
    StudentGolden,
    StudentRecord,
)

R = TypeVar("R", bound=BaseModel)

_SHOWN = 10  # problems of one file: an array of a wrong type has one for every value

#: What NumPy raises at a file of arrays that is damaged, or at arrays that it must not load.
_DAMAGED = (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile, zlib.error)


def read_student_record(path: Path) -> StudentGolden | None:
    """A student's golden; None if it was never accepted.

    Raises:
        InputError: the record or its predictions are damaged.
    """
    if not path.exists():
        return None
    record = _read_record(path, StudentRecord)
    return StudentGolden(record, _read_predictions(path.parent / record.predictions_file, record))


def read_dataset_record(path: Path) -> DatasetRecord | None:
    """A data set's golden; None if it was never accepted.

    Raises:
        InputError: the record is damaged.
    """
    return _read_record(path, DatasetRecord) if path.exists() else None


def read_counters_record(path: Path) -> CountersRecord | None:
    """A student's golden counters; None if they were never accepted.

    Raises:
        InputError: the record is damaged.
    """
    return _read_record(path, CountersRecord) if path.exists() else None


def write_student_record(
    path: Path, record: StudentRecord, predictions: Predictions
) -> StudentRecord:
    """Write a record and its predictions; the record as written, naming the predictions' file.

    The predictions go to a file named after their content, so that the record in place always
    names a complete file, whatever is interrupted when.

    Raises:
        InputError: the files cannot be written.
    """
    content = _to_npz(predictions)
    digest = hashlib.sha256(content).hexdigest()
    name = f"{path.stem}-{digest[:12]}.npz"
    record = record.model_copy(update={"predictions_file": name, "predictions_sha256": digest})
    text = to_text(record)
    make_folder(path.parent)
    write_atomically(path.parent / name, lambda aside: _write_bytes(aside, content))
    write_text_atomically(path, text)
    for stale in path.parent.glob(f"{glob.escape(path.stem)}-{'[0-9a-f]' * 12}.npz"):
        if stale.name != name:
            stale.unlink(missing_ok=True)
    return record


def write_record(path: Path, record: DatasetRecord | CountersRecord) -> None:
    """Write a golden that has no arrays.

    Raises:
        InputError: the file cannot be written.
    """
    make_folder(path.parent)
    write_text_atomically(path, to_text(record))


def to_text(record: BaseModel) -> str:
    """Strict JSON, sorted, one metric a line."""
    return _format(record.model_dump(mode="json"), indent=0) + "\n"


def _format(value: Any, indent: int) -> str:  # noqa: ANN401 - JSON
    """Like json.dumps, but a mapping that holds only plain values stays on one line."""
    nested = isinstance(value, dict) and any(isinstance(item, dict) for item in value.values())
    if not nested:
        return _dumps(value)
    inner = " " * (indent + 2)
    lines = [f"{inner}{_dumps(key)}: {_format(value[key], indent + 2)}" for key in sorted(value)]
    return "{\n" + ",\n".join(lines) + "\n" + " " * indent + "}"


def _dumps(value: Any) -> str:  # noqa: ANN401 - JSON
    return json.dumps(value, sort_keys=True, allow_nan=False, ensure_ascii=False)


def _read_record(path: Path, model: type[R]) -> R:
    try:
        return model.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise InputError(f"{path}: not a golden record: {describe_problems(error)}") from error


def describe_problems(error: ValidationError) -> str:
    """In one line, the keys that are wrong and what was expected of them."""
    problems = [f"{'.'.join(map(str, p['loc'])) or 'file'}: {p['msg']}" for p in error.errors()]
    more = len(problems) - _SHOWN
    return "; ".join(problems[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")


def _to_npz(predictions: Predictions) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        names=np.array(predictions.names),
        energy=predictions.energy,
        forces=predictions.forces,
        splits=predictions.splits,
    )
    return buffer.getvalue()


def _read_predictions(path: Path, record: StudentRecord) -> Predictions:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: golden predictions cannot be read: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != record.predictions_sha256:
        raise InputError(f"{path}: sha256 differs from the one in the record of {record.subject}")
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            predictions = Predictions(
                names=tuple(str(name) for name in arrays["names"]),
                energy=arrays["energy"].astype(np.float64, casting="safe"),
                forces=arrays["forces"].astype(np.float64, casting="safe"),
                splits=arrays["splits"].astype(np.int64, casting="safe"),
            )
    except (*_DAMAGED, InputError) as error:
        raise InputError(f"{path}: not golden predictions: {error}") from error
    if not predictions.is_finite():
        raise InputError(f"{path}: golden predictions are not finite")
    return predictions


def _write_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)
