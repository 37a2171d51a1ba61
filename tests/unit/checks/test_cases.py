import pytest

from mlffd.checks.cases import Case, configured_subjects, named_subjects, plan
from mlffd.checks.evidence import Criterion, Evidence, judge
from mlffd.checks.foreign import ForeignSubject
from mlffd.checks.registry import all_checks, check
from mlffd.checks.subjects import ArtifactSubject, DatasetSubject, StudentSubject
from mlffd.config import KnownDefect, Settings
from mlffd.errors import InputError
from mlffd.export.manifest import Deviation, Manifest, manifest_path, write_manifest
from mlffd.verdicts import Verdict


def register(name, result, *, concern="physics", kind=StudentSubject, unless=None):
    """A check that returns, or raises, what it is told to."""

    def function(subject):
        """Do as told.

        If this fails, it probably means that it was told to.
        """
        if isinstance(result, Exception):
            raise result
        return result

    more = {} if unless is None else {"unless": unless}
    check(name, concern=concern, kind=kind, **more)(function)


def evidence(measured=0.0):
    return judge([Criterion("x", measured, 1.0)], "measured")


@pytest.fixture
def student(tmp_path):
    return StudentSubject(name="tiny", path=tmp_path / "tiny.pt")


@pytest.fixture
def data(tmp_path):
    return DatasetSubject(name="data", path=tmp_path / "data.h5")


@pytest.fixture
def two_checks(empty_registry):
    register("one", evidence())
    register("sound", evidence(), concern="data", kind=DatasetSubject)
    register("other", evidence(), concern="golden", unless=lambda subject: "it has none")


def ids(found):
    return [case.id for case in found.cases]


def test_every_check_of_a_subjects_kind_is_a_case_or_an_omission(two_checks, student, data):
    found = plan([student, data])

    assert ids(found) == ["tiny-one", "data-sound"]
    assert found.omissions == [("tiny", "other", "it has none")]


def test_all_registered_checks_are_accounted_for(checkpoint):
    subject = StudentSubject(name="small", path=checkpoint)

    found = plan([subject])

    planned = {c.check.name for c in found.cases} | {o.check for o in found.omissions}
    assert planned == {c.name for c in all_checks() if c.kind is StudentSubject}
    assert {o.check for o in found.omissions} == {
        "matches_golden",
        "accuracy",
        "unseen_molecules",
        "element_coverage",
        "counters",
    }
    assert all(len(o.reason) > 10 for o in found.omissions)


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        (["one"], ["tiny-one"]),
        (["physics"], ["tiny-one"]),
        (["data", "one"], ["tiny-one", "data-sound"]),
        ([], ["tiny-one", "data-sound"]),
    ],
)
def test_checks_are_chosen_by_name_or_concern(two_checks, student, data, only, expected):
    assert ids(plan([student, data], only)) == expected


@pytest.mark.parametrize("only", [["two"], ["one", "phsyics"], [""]])
def test_an_unknown_name_is_refused_with_those_there_are(two_checks, student, only):
    with pytest.raises(InputError, match=r"unknown check or concern: .*checks: one, other, sound"):
        plan([student], only)


def test_no_case_at_all_is_an_error(two_checks, student, data):
    for subjects, only in (([], []), ([student], ["other"]), ([student], ["data"])):
        with pytest.raises(InputError, match="nothing to check"):
            plan(subjects, only)


@pytest.mark.parametrize("name", ["two", "other", "sound"])
def test_a_declaration_that_protects_nothing_is_refused(two_checks, student, name):
    """Unknown, about a check that does not concern it, or about one of another kind."""
    student.limits = {name: {"x": 1.0}}
    with pytest.raises(InputError, match=rf"tiny\.limits: .*{name}; there are: one"):
        plan([student])

    student.limits = {}
    student.known_defects = {name: KnownDefect(reason="r", limit=1.0)}
    with pytest.raises(InputError, match=rf"tiny\.known_defects: .*{name}; there are: one"):
        plan([student])


def test_declarations_are_judged_against_all_checks_not_those_chosen(two_checks, student, data):
    student.limits = {"one": {"x": 1.0}}

    assert ids(plan([student, data], ["sound"])) == ["data-sound"]


def test_evidence_names_its_subject_and_check(two_checks, student):
    (case,) = plan([student]).cases

    found = case.run()

    assert (found.subject, found.check, found.verdict) == ("tiny", "one", Verdict.PASS)


def test_an_exception_becomes_invalid_evidence_with_its_traceback(empty_registry, student):
    register("broken", ZeroDivisionError("division by zero"))
    (case,) = plan([student]).cases

    found = case.run()

    assert found.verdict is Verdict.INVALID
    assert found.message == "ZeroDivisionError: division by zero"
    assert "in function" in found.details["traceback"]
    assert (found.subject, found.check) == ("tiny", "broken")


def test_bad_input_becomes_invalid_evidence_in_one_line(empty_registry, student):
    register("unreadable", InputError("tiny.pt: no checkpoint"))
    (case,) = plan([student]).cases

    found = case.run()

    assert (found.verdict, found.message) == (Verdict.INVALID, "tiny.pt: no checkpoint")
    assert "traceback" not in found.details


def test_interrupting_is_no_evidence(empty_registry, student):
    register("slow", evidence())
    (case,) = plan([student]).cases

    def interrupted(subject):
        raise KeyboardInterrupt

    object.__setattr__(case.check, "function", interrupted)
    with pytest.raises(KeyboardInterrupt):
        case.run()


def test_a_subject_that_cannot_be_read_yet_is_concerned(empty_registry, student):
    """Omitting the check would hide that the file is damaged."""

    def unless(subject):
        raise InputError("damaged")

    register("one", InputError("damaged"), unless=unless)

    found = plan([student])

    assert ids(found) == ["tiny-one"]
    assert found.cases[0].run().verdict is Verdict.INVALID


def test_limits_and_known_defects_of_the_subject_are_applied(empty_registry, student):
    register("one", evidence(5.0))
    (case,) = plan([student]).cases
    assert case.run().verdict is Verdict.FAIL

    student.limits = {"one": {"x": 6.0}}
    assert case.run().verdict is Verdict.PASS

    student.limits = {}
    student.known_defects = {"one": KnownDefect(reason="old weights", limit=6.0)}
    assert case.run().message.startswith("known defect (old weights), within its bound")


@pytest.mark.parametrize(
    ("measured", "verdict"), [(0.0, Verdict.INVALID), (5.0, Verdict.FAIL)], ids=["passes", "fails"]
)
def test_a_limit_of_no_criterion_lets_nothing_pass(empty_registry, student, measured, verdict):
    register("one", evidence(measured))
    student.limits = {"one": {"typo": 6.0}}
    (case,) = plan([student]).cases

    found = case.run()

    assert found.verdict is verdict
    assert "tiny.limits.one: unknown ['typo']; this check has: x" in found.message


def test_a_missing_file_fails_to_load_and_hides_no_other_case(tmp_path):
    subject = StudentSubject(name="gone", path=tmp_path / "gone.pt")

    verdicts = {c.check.name: c.run().verdict for c in plan([subject], ["loading"]).cases}

    assert verdicts == {
        "loads": Verdict.FAIL,
        "finite_weights": Verdict.INVALID,
        "parameter_count": Verdict.INVALID,
    }


def settings(checkpoint, **student):
    return Settings.model_validate(
        {
            "students": {"small": {"checkpoint": checkpoint, **student}},
            "datasets": {"labels": {"path": "labels.h5"}},
        }
    )


def test_settings_become_subjects(checkpoint):
    found = configured_subjects(
        settings(checkpoint, elements=["H", "C"], dataset="labels", parameters=5)
    )

    student, data = found
    assert (student.name, student.path, student.parameters) == ("small", checkpoint, 5)
    assert student.elements == {1, 6}
    assert student.dataset_path == data.path
    assert isinstance(data, DatasetSubject)


def test_artifacts_of_the_settings_become_subjects(checkpoint):
    artifact = {
        "path": "a.onnx",
        "reference": checkpoint,
        "limits": {"artifact_matches": {"forces": 1e-3}},
        "known_defects": {"artifact_loads": {"reason": "old", "limit": 1}},
    }
    known = Settings.model_validate({"artifacts": {"exported": artifact}})

    (found,) = configured_subjects(known, device="cuda")

    assert isinstance(found, ArtifactSubject)
    assert (found.name, str(found.path), found.reference) == ("exported", "a.onnx", checkpoint)
    assert found.device == "cuda"
    assert found.limits == {"artifact_matches": {"forces": 1e-3}}
    assert found.known_defects["artifact_loads"].reason == "old"
    assert [c.check.name for c in plan([found]).cases] == [
        "artifact_loads",
        "artifact_matches",
        "artifact_dynamic_shapes",
    ]


@pytest.fixture
def artifact(tmp_path):
    """A file that has a manifest beside it."""
    exact = Deviation(energy_per_atom=0, forces=0, forces_rms=0)
    path = tmp_path / "small-onnx-fp32.onnx"
    path.write_bytes(b"an export")
    manifest = Manifest(
        **dict.fromkeys(("format", "precision", "student", "architecture", "snippet"), "x"),
        **{key: {} for key in ("config", "versions", "created")},
        **dict.fromkeys(("weights", "sha256"), "sha256:" + 64 * "0"),
        **dict.fromkeys(("inputs", "outputs", "elements"), ()),
        **dict.fromkeys(("revision", "cutoff", "max_z", "size"), 1),
        **dict.fromkeys(("tolerance", "measured"), exact),
        honours_cells=True,
        neighbours="input",
    )
    write_manifest(path, manifest)
    return path


def test_a_file_with_a_manifest_is_an_artifact_of_the_reference(artifact, checkpoint):
    (found,) = named_subjects([str(artifact)], Settings(), reference=checkpoint)

    assert isinstance(found, ArtifactSubject)
    assert (found.name, found.path, found.reference) == (artifact.stem, artifact, checkpoint)


def test_an_artifact_without_reference_and_a_reference_without_artifact_are_refused(
    artifact, checkpoint
):
    with pytest.raises(InputError, match=r"fp32\.onnx: an artifact: .* needs --reference"):
        named_subjects([str(artifact)], Settings())
    with pytest.raises(InputError, match="--reference: is for artifacts that are given by path"):
        named_subjects([str(checkpoint)], Settings(), reference=checkpoint)
    with pytest.raises(InputError, match=r"gone\.pt"):
        named_subjects([str(artifact)], Settings(), reference=artifact.with_name("gone.pt"))


def test_a_manifest_that_cannot_be_read_is_bad_input_at_once(artifact, checkpoint):
    manifest_path(artifact).write_text("{}")

    with pytest.raises(InputError, match=r"fp32\.onnx\.json: not a manifest"):
        named_subjects([str(artifact)], Settings(), reference=checkpoint)


def test_several_files_can_be_named_if_one_is_an_artifact(artifact, checkpoint):
    (model, student) = named_subjects(
        [str(artifact), str(checkpoint)], Settings(), reference=checkpoint
    )

    assert (type(model), type(student)) == (ArtifactSubject, StudentSubject)
    assert (model.path, student.path) == (artifact, checkpoint)


def test_a_file_called_like_a_subject_of_the_settings_goes_by_its_path(checkpoint, tmp_path):
    other = tmp_path / "other" / checkpoint.name
    other.parent.mkdir()
    other.write_bytes(checkpoint.read_bytes())

    found = named_subjects(["small", str(other)], settings(checkpoint))

    assert [s.name for s in found] == ["small", str(other)]


def test_a_name_that_nobody_knows_is_refused_with_those_there_are(checkpoint):
    with pytest.raises(InputError, match=r"huge: neither a file nor a name .*\(small, labels\)"):
        named_subjects(["huge"], settings(checkpoint))
    with pytest.raises(InputError, match=r"\(no names: there are no settings\)"):
        named_subjects(["huge"], Settings())


def test_an_exported_file_without_manifest_is_somebody_elses(artifact, checkpoint):
    manifest_path(artifact).unlink()

    (subject,) = named_subjects([str(artifact)], Settings(), reference=checkpoint)

    assert isinstance(subject, ForeignSubject)


def test_no_elements_in_the_settings_means_that_nobody_asks(checkpoint):
    student, _ = configured_subjects(settings(checkpoint))

    assert student.elements is None


def test_no_name_means_everything_in_the_settings(checkpoint):
    assert [s.name for s in named_subjects([], settings(checkpoint))] == ["small", "labels"]


def test_a_name_is_looked_up_before_a_path(checkpoint, tmp_path):
    (found,) = named_subjects(["small"], settings(checkpoint, parameters=5))
    assert found.parameters == 5

    (found,) = named_subjects([str(checkpoint)], Settings())
    assert (found.name, found.path, found.parameters) == ("small", checkpoint, None)


def test_elements_asked_for_override_the_settings(checkpoint):
    found = named_subjects([], settings(checkpoint, elements=["H"]), elements=frozenset({8}))

    assert found[0].elements == {8}


@pytest.mark.parametrize("name", ["none.pt", "none.h5", "broken.pt", "broken.h5"])
def test_a_path_that_cannot_be_read_is_bad_input_at_once(tmp_path, name):
    if name.startswith("broken"):
        (tmp_path / name).write_bytes(b"broken")
    with pytest.raises(InputError, match=name):
        named_subjects([str(tmp_path / name)], Settings())


def test_a_case_is_named_after_both():
    one = next(c for c in all_checks() if c.name == "loads")

    assert Case(StudentSubject("tiny", None), one).id == "tiny-loads"


def test_evidence_that_is_invalid_stays_invalid_under_limits(empty_registry, student):
    register("one", Evidence(Verdict.INVALID, "no golden"))
    student.limits = {"one": {"x": 6.0}}

    (case,) = plan([student]).cases
    assert case.run().verdict is Verdict.INVALID


def test_a_subject_without_a_case_is_named(two_checks, student, data):
    """`mlffd check a.pt d.h5 --only data` must not look as if a.pt had passed."""
    found = plan([student, data], ["data"])

    assert found.omissions == [("tiny", "all", "no check of data concerns it")]


def test_a_file_is_checked_once_however_it_is_named(checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(checkpoint.parent)
    (tmp_path / "link.pt").symlink_to(checkpoint)
    configured = settings(checkpoint)
    for names in (
        [checkpoint.name, str(checkpoint)],
        [checkpoint.name, f"../{checkpoint.parent.name}/{checkpoint.name}"],
        [str(checkpoint), str(tmp_path / "link.pt")],
        ["small", str(checkpoint)],
    ):
        with pytest.raises(InputError, match="named twice"):
            named_subjects(names, configured)


def test_a_subject_of_the_settings_is_named_once(checkpoint):
    with pytest.raises(InputError, match="named twice"):
        named_subjects(["small", "small"], settings(checkpoint))


def test_settings_may_give_one_file_two_names(checkpoint):
    """With other limits, or other elements."""
    two = {"a": {"checkpoint": checkpoint}, "b": {"checkpoint": checkpoint, "elements": ["H"]}}

    assert len(named_subjects([], Settings.model_validate({"students": two}))) == 2


def test_what_is_tolerated_is_worth_telling(empty_registry, student):
    register("one", evidence(5.0))
    student.known_defects = {"one": KnownDefect(reason="old weights", limit=6.0)}
    (case,) = plan([student]).cases

    assert case.run().noteworthy
