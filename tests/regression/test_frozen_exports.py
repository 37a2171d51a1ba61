"""Exports that were made once still load and mean the same; see ``golden/artifacts``."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mlffd.checks.artifact_subject import ArtifactSubject
from mlffd.checks.cases import Case, plan
from mlffd.checks.evidence import Evidence
from mlffd.config import load_settings
from mlffd.errors import MissingPackageError, MlffdError
from mlffd.export.formats import FORMATS
from mlffd.export.manifest import Manifest, manifest_path, read_manifest
from mlffd.testing import parametrize_with_checks
from mlffd.verdicts import Verdict

ROOT = Path(__file__).parents[2]
SETTINGS = load_settings(ROOT / "mlffd.toml")
FROZEN = ROOT / "golden" / "artifacts"

#: Compiled for one kind of processor and one release of PyTorch: not meant to last.
MACHINE_CODE = {"aoti"}


def require_runtime(subject: ArtifactSubject) -> None:
    """Skip what needs a package that is not here; what else is wrong is for the checks to say."""
    try:
        subject.potential  # noqa: B018 - is opened on first use
    except MissingPackageError as error:
        pytest.skip(str(error))
    except MlffdError:
        return


@parametrize_with_checks("exports", config=ROOT / "mlffd.toml")
def test_a_frozen_export_still_means_the_same(
    mlffd_case: Case, mlffd_gate: Callable[[Case], Evidence]
) -> None:
    require_runtime(mlffd_case.subject)
    mlffd_gate(mlffd_case)


def test_every_format_is_frozen_in_the_manifest_of_today_but_for_machine_code() -> None:
    today = FROZEN / f"v{Manifest.model_fields['format_version'].default}"

    frozen = [
        read_manifest(artifact.path).format
        for artifact in SETTINGS.artifacts.values()
        if artifact.path.parent == today
    ]

    assert sorted(frozen) == sorted(FORMATS.keys() - MACHINE_CODE)


def test_every_frozen_file_is_under_regression_and_compared_with_the_checkpoint_beside_it() -> None:
    declared = {a.path: a.reference for a in SETTINGS.artifacts.values()}
    manifests = {manifest_path(path) for path in declared}

    assert {*declared, *declared.values(), *manifests} == set(FROZEN.glob("v*/*"))
    assert all(path.parent == reference.parent for path, reference in declared.items())


@pytest.mark.parametrize("name", SETTINGS.artifacts)
def test_a_frozen_export_that_is_not_what_it_was_fails(name: str, tmp_path: Path) -> None:
    frozen = SETTINGS.artifacts[name]
    shutil.copy(manifest_path(frozen.path), tmp_path)
    content = bytearray(frozen.path.read_bytes())
    content[len(content) // 2] ^= 1
    changed = tmp_path / frozen.path.name
    changed.write_bytes(content)
    subject = ArtifactSubject(name=name, path=changed, reference=frozen.reference)

    (case,) = plan([subject], ["artifact_loads"]).cases

    evidence = case.run()
    assert evidence.verdict is Verdict.FAIL
    assert "not the file that its manifest describes" in evidence.message
