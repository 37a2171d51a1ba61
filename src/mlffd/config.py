"""Settings: ``mlffd.toml`` becomes typed values, or an error that says where it is wrong."""

import os
import reprlib
import tomllib
from pathlib import Path
from typing import Annotated, Any

from ase.data import atomic_numbers
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PrivateAttr,
    StrictBool,
    Tag,
    ValidationError,
)

from mlffd.errors import InputError
from mlffd.export_settings import BudgetSettings, ExportSettings
from mlffd.performance_settings import PerformanceSettings, TierSettings
from mlffd.setting_values import FilePath, Limit, Picoseconds


def _known_symbol(symbol: str) -> str:
    if symbol not in atomic_numbers or symbol == "X":
        raise ValueError("expected a chemical symbol")
    return symbol


def _record_path(path: Path) -> Path:
    if path.suffix != ".json":  # the arrays beside a record are named after its stem
        raise ValueError("expected a path that ends in .json")
    return path


Element = Annotated[str, AfterValidator(_known_symbol)]
RecordPath = Annotated[FilePath, AfterValidator(_record_path)]

Count = Annotated[int, Field(gt=0, strict=True)]

#: Which form a value has decides what it is held against, so that an error is about that form.
#: Pydantic puts the form's name into the location of an error; `_describe` takes it out again.
_NUMBER, _TABLE = "<number>", "<table>"
Bound = Annotated[
    Annotated[Limit, Tag(_NUMBER)] | Annotated[dict[str, Limit], Tag(_TABLE)],
    Discriminator(lambda value: _TABLE if isinstance(value, dict) else _NUMBER),
]

#: Pydantic's words for what is wrong, in TOML's.
_EXPECTED = {
    "bool_type": "expected true or false",
    "dict_type": "expected a table",
    "model_type": "expected a table",
    "path_type": "expected a path",
    "tuple_type": "expected a list",
}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KnownDefect(_Strict):
    """A failure that is known, with the most that it may be.

    Attributes:
        reason: why it is there and what is being done about it.
        limit: bound of every criterion that fails; a number will do if only one fails.
    """

    reason: Annotated[str, Field(min_length=1)]
    limit: Bound


class _SubjectSettings(_Strict):
    limits: dict[str, dict[str, Limit]] = {}
    known_defects: dict[str, KnownDefect] = {}


class _GoldenSettings(_SubjectSettings):
    golden: RecordPath | None = None


class StudentSettings(_GoldenSettings):
    """A student under regression.

    Attributes:
        checkpoint: its weights.
        golden: its golden record (.json); `mlffd golden accept` writes it.
        dataset: name of the data set that the golden is made with.
        counters: the golden record of its counters (.json); needs no data set.
        parameters: how many it should have.
        elements: symbols of the elements that it is to serve.
        limits: overrides, by check and criterion.
        known_defects: by check.
        nve_picoseconds: length of each run of `nve_conservation`, 0.05 to 1000.
    """

    checkpoint: FilePath
    dataset: str | None = None
    counters: RecordPath | None = None
    parameters: Count | None = None
    elements: tuple[Element, ...] = ()
    nve_picoseconds: Picoseconds = 0.5


class DatasetSettings(_GoldenSettings):
    """A labelled data set under regression.

    Attributes:
        path: the HDF5 file.
        golden: its golden record (.json).
        limits: overrides, by check and criterion.
        known_defects: by check.
    """

    path: FilePath


class ArtifactSettings(_SubjectSettings):
    """An exported file under regression; its manifest is beside it.

    Attributes:
        path: of the file.
        reference: the checkpoint that it is to mean the same as.
        limits: overrides, by check and criterion.
        known_defects: by check.
    """

    path: FilePath
    reference: FilePath


class Settings(_Strict):
    """Everything that ``mlffd.toml`` can say.

    Attributes:
        students: by name.
        datasets: by name.
        artifacts: exported files under regression, by name.
        exports: what `mlffd export --all` makes of every student.
        performance: how the speed of commits is compared.
        strict: a significant improvement fails until its golden is accepted.
    """

    students: dict[str, StudentSettings] = {}
    datasets: dict[str, DatasetSettings] = {}
    artifacts: dict[str, ArtifactSettings] = {}
    exports: ExportSettings = ExportSettings()
    performance: PerformanceSettings = PerformanceSettings()
    strict: StrictBool = False
    _source: Path | None = PrivateAttr(None)

    @property
    def source(self) -> Path | None:
        """The file that they were read from, absolute; None: there is none."""
        return self._source


def load_settings(path: Path) -> Settings:
    """Read settings; relative paths in them are relative to the file.

    Raises:
        InputError: the file cannot be read, is no TOML, or says something that is not allowed;
            every offending key is named, with what was expected.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid TOML: {error}") from error
    except RecursionError as error:
        raise InputError(f"{path}: nested too deeply") from error
    try:
        settings = Settings.model_validate(data)
    except ValidationError as error:
        problems = "; ".join(_describe(problem) for problem in error.errors())
        raise InputError(f"{path}: {problems}") from error
    _refuse_unclear_names(settings, path)
    for name, student in settings.students.items():
        if student.dataset is not None and student.dataset not in settings.datasets:
            known = ", ".join(settings.datasets) or "none"
            raise InputError(
                f"{path}: students.{name}.dataset: {student.dataset!r} is not under [datasets] "
                f"(there: {known})"
            )
        if student.golden is not None and student.dataset is None:
            raise InputError(f"{path}: students.{name}.golden: needs students.{name}.dataset too")
    budgeted = settings.exports.budget.dataset
    if budgeted is not None and budgeted not in settings.datasets:
        known = ", ".join(settings.datasets) or "none"
        raise InputError(
            f"{path}: exports.budget.dataset: {budgeted!r} is not under [datasets] (there: {known})"
        )
    resolved = _resolved(settings, path.resolve().parent)
    _refuse_shared_goldens(resolved, path)
    resolved._source = path.resolve()
    return resolved


def _refuse_unclear_names(settings: Settings, path: Path) -> None:
    """Names are how subjects are chosen and reported."""
    kinds: dict[str, str] = {}
    for kind in ("students", "datasets", "artifacts"):
        for name in getattr(settings, kind):
            if not name.strip():
                raise InputError(f"{path}: {kind}: expected names that are not empty")
            other = kinds.setdefault(name, kind)
            if other != kind:
                raise InputError(
                    f"{path}: {other}.{name} and {kind}.{name}: expected different names"
                )


def _refuse_shared_goldens(settings: Settings, path: Path) -> None:
    """Accepting one of two goldens in the same file would overwrite the other."""
    records = {
        **{f"students.{name}.golden": s.golden for name, s in settings.students.items()},
        **{f"students.{name}.counters": s.counters for name, s in settings.students.items()},
        **{f"datasets.{name}.golden": d.golden for name, d in settings.datasets.items()},
    }
    owners: dict[str, str] = {}
    for key, record in records.items():
        # Unlike Path.resolve, it does not raise at links in a circle.
        if record and (other := owners.setdefault(os.path.realpath(record), key)) != key:
            raise InputError(f"{path}: {other} and {key}: expected different files")


def _describe(problem: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails
    key = ".".join(str(part) for part in problem["loc"] if part not in (_NUMBER, _TABLE))
    kind = problem["type"]
    if kind == "extra_forbidden":
        return f"{key}: unknown key; allowed here: {', '.join(_allowed(problem['loc']))}"
    if kind == "missing":
        return f"{key}: missing"
    message = str(problem["ctx"]["error"]) if kind == "value_error" else problem["msg"]
    # Shortened: what is nested deeply enough cannot even be printed.
    return f"{key}: {_EXPECTED.get(kind, message)} (found {reprlib.repr(problem['input'])})"


def _allowed(location: tuple[int | str, ...]) -> list[str]:
    """The keys that are allowed where an unknown one was found."""
    match location:
        case (_,):
            model: type[BaseModel] = Settings
        case ("students", _, _):
            model = StudentSettings
        case ("datasets", _, _):
            model = DatasetSettings
        case ("artifacts", _, _):
            model = ArtifactSettings
        case ("exports", "budget", _):
            model = BudgetSettings
        case ("performance", "tiers", _, _):
            model = TierSettings
        case ("performance", _):
            model = PerformanceSettings
        case _:
            model = KnownDefect
    return sorted(model.model_fields)


def _resolved(settings: Settings, folder: Path) -> Settings:
    students = {
        name: s.model_copy(
            update={
                "checkpoint": folder / s.checkpoint,
                "golden": s.golden and folder / s.golden,
                "counters": s.counters and folder / s.counters,
            }
        )
        for name, s in settings.students.items()
    }
    datasets = {
        name: d.model_copy(
            update={"path": folder / d.path, "golden": d.golden and folder / d.golden}
        )
        for name, d in settings.datasets.items()
    }
    artifacts = {
        name: a.model_copy(update={"path": folder / a.path, "reference": folder / a.reference})
        for name, a in settings.artifacts.items()
    }
    exports = settings.exports.model_copy(update={"folder": folder / settings.exports.folder})
    return settings.model_copy(
        update={
            "students": students,
            "datasets": datasets,
            "artifacts": artifacts,
            "exports": exports,
        }
    )
