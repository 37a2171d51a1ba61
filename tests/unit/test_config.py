"""Settings: what is read, and how each mistake is named."""

from pathlib import Path

import pytest

from mlffd.config import Settings, load_settings
from mlffd.errors import InputError
from mlffd.settings_file import FILE_NAME, find_settings

STUDENT = "[students.a]\ncheckpoint = 'a.pt'\n"
DEFECT = "[students.a.known_defects.loads]\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / FILE_NAME


def load(path: Path, text: str) -> Settings:
    path.write_text(text, encoding="utf-8")
    return load_settings(path)


def refusal(path: Path, text: str) -> str:
    """The message of the error, less the file that it must begin with."""
    with pytest.raises(InputError) as raised:
        load(path, text)
    start = f"{path}: "
    assert str(raised.value).startswith(start)
    return str(raised.value).removeprefix(start)


def test_everything_that_settings_can_say(path):
    settings = load(
        path,
        """
        strict = true

        [students.a]
        checkpoint = "weights/a.pt"
        golden = "golden/a.json"
        dataset = "d"
        parameters = 21459
        elements = ["H", "Cl"]
        nve_picoseconds = 1
        limits.rotation_equivariance.energy_rms = 1e-3
        known_defects.smooth_at_cutoff = { reason = "old filter", limit = 0.5 }
        known_defects.periodic_images = { reason = "no cells", limit = { energy_max = 2 } }

        [datasets.d]
        path = "data/d.h5"
        golden = "golden/d.json"

        [artifacts.x]
        path = "exports/a.onnx"
        reference = "weights/a.pt"
        limits.artifact_matches.forces = 1e-3
        known_defects.artifact_dynamic_shapes = { reason = "old exporter", limit = 1 }
        """,
    )
    student = settings.students["a"]
    assert settings.strict
    assert student.parameters == 21459
    assert student.elements == ("H", "Cl")
    assert student.nve_picoseconds == 1.0
    assert student.limits == {"rotation_equivariance": {"energy_rms": 1e-3}}
    assert student.known_defects["smooth_at_cutoff"].limit == 0.5
    assert student.known_defects["periodic_images"].limit == {"energy_max": 2.0}
    artifact = settings.artifacts["x"]
    assert artifact.path.name == "a.onnx"
    assert artifact.reference.name == "a.pt"
    assert artifact.limits == {"artifact_matches": {"forces": 1e-3}}
    assert artifact.known_defects["artifact_dynamic_shapes"].limit == 1.0


def test_what_is_not_said_has_a_default(path):
    settings = load(path, STUDENT)
    student = settings.students["a"]
    assert not settings.strict
    assert settings.datasets == {}
    assert (student.golden, student.dataset, student.parameters) == (None, None, None)
    assert (student.elements, student.limits, student.known_defects) == ((), {}, {})
    assert student.nve_picoseconds == 0.5


def test_relative_paths_are_relative_to_the_file(path, monkeypatch):
    text = """
    [students.a]
    checkpoint = "weights/a.pt"
    golden = "../a.json"
    dataset = "d"
    counters = "costs/a.json"
    [datasets.d]
    path = "/data/d.h5"
    [artifacts.x]
    path = "exports/a.onnx"
    reference = "weights/a.pt"
    """
    path.write_text(text, encoding="utf-8")
    monkeypatch.chdir("/")
    settings = load_settings(path)
    folder = path.parent.resolve()
    assert settings.students["a"].checkpoint == folder / "weights" / "a.pt"
    assert settings.students["a"].golden == folder / ".." / "a.json"
    assert settings.students["a"].counters == folder / "costs" / "a.json"
    assert settings.datasets["d"].path == Path("/data/d.h5")
    assert settings.datasets["d"].golden is None
    assert settings.artifacts["x"].path == folder / "exports" / "a.onnx"
    assert settings.artifacts["x"].reference == folder / "weights" / "a.pt"


def test_settings_are_found_in_the_folder_or_the_nearest_above(tmp_path):
    near, far = tmp_path / "project", tmp_path
    below = near / "src" / "deep"
    below.mkdir(parents=True)
    assert find_settings(below) is None
    (far / FILE_NAME).touch()
    assert find_settings(below) == far / FILE_NAME
    (near / FILE_NAME).touch()
    assert find_settings(below) == near / FILE_NAME
    assert find_settings(near) == near / FILE_NAME


def test_a_folder_with_the_name_of_the_settings_is_no_settings(tmp_path):
    (tmp_path / FILE_NAME).mkdir()
    assert find_settings(tmp_path) is None


def test_a_file_that_cannot_be_read_is_named(path):
    with pytest.raises(InputError, match=r"mlffd\.toml: cannot be read: No such file"):
        load_settings(path)
    path.mkdir()
    with pytest.raises(InputError, match=r"mlffd\.toml: cannot be read: Is a directory"):
        load_settings(path)


@pytest.mark.parametrize("text", ["[students.a", "a = [", "a = 1\na = 2"])
def test_what_is_no_toml_is_refused_with_the_place(path, text):
    assert refusal(path, text).startswith("not valid TOML: ")
    assert "at " in refusal(path, text)


def test_what_is_no_text_is_refused(path):
    path.write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(InputError, match=r"mlffd\.toml: not valid TOML: .*utf-8"):
        load_settings(path)


@pytest.mark.parametrize(
    ("text", "key", "allowed"),
    [
        ("student = 1", "student", "artifacts, datasets, exports, performance, strict, students"),
        (
            f"{STUDENT}path = 'a.pt'",
            "students.a.path",
            "checkpoint, counters, dataset, elements, golden, known_defects, limits, "
            "nve_picoseconds, parameters",
        ),
        (
            "[datasets.d]\npath = 'd.h5'\nelements = ['H']",
            "datasets.d.elements",
            "golden, known_defects, limits, path",
        ),
        (
            "[artifacts.x]\npath = 'a.onnx'\nreference = 'a.pt'\ngolden = 'a.json'",
            "artifacts.x.golden",
            "known_defects, limits, path, reference",
        ),
        (
            f"{STUDENT}{DEFECT}reason = 'r'\nlimit = 1\nuntil = 2",
            "students.a.known_defects.loads.until",
            "limit, reason",
        ),
    ],
)
def test_an_unknown_key_is_named_with_those_that_are_allowed(path, text, key, allowed):
    assert refusal(path, text) == f"{key}: unknown key; allowed here: {allowed}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("students = 3", "students: expected a table (found 3)"),
        ("students.a = 'a.pt'", "students.a: expected a table (found 'a.pt')"),
        ("strict = 'yes'", "strict: expected true or false (found 'yes')"),
        ("strict = 1", "strict: expected true or false (found 1)"),
        ("[students.a]", "students.a.checkpoint: missing"),
        ("[students.a]\ncheckpoint = 5", "students.a.checkpoint: expected a path (found 5)"),
        ("[datasets.d]", "datasets.d.path: missing"),
        ("[artifacts.x]\npath = 'a.onnx'", "artifacts.x.reference: missing"),
        (f"{STUDENT}elements = 'H'", "students.a.elements: expected a list (found 'H')"),
        (
            f"{STUDENT}elements = ['H', 'h']",
            "students.a.elements.1: expected a chemical symbol (found 'h')",
        ),
        (
            f"{STUDENT}elements = ['X']",
            "students.a.elements.0: expected a chemical symbol (found 'X')",
        ),
        (
            f"{STUDENT}parameters = 0",
            "students.a.parameters: Input should be greater than 0 (found 0)",
        ),
        (
            f"{STUDENT}parameters = '5'",
            "students.a.parameters: Input should be a valid integer (found '5')",
        ),
        (
            f"{STUDENT}parameters = true",
            "students.a.parameters: Input should be a valid integer (found True)",
        ),
        (
            f"{STUDENT}limits.loads = 1",
            "students.a.limits.loads: expected a table (found 1)",
        ),
        (
            f"{STUDENT}limits.loads.failures = -1",
            "students.a.limits.loads.failures: Input should be greater than or equal to 0 "
            "(found -1)",
        ),
        (
            f"{STUDENT}{DEFECT}reason = ''\nlimit = 1",
            "students.a.known_defects.loads.reason: String should have at least 1 character "
            "(found '')",
        ),
        (f"{STUDENT}{DEFECT}reason = 'r'", "students.a.known_defects.loads.limit: missing"),
        (
            f"{STUDENT}nve_picoseconds = 0.02",
            "students.a.nve_picoseconds: Input should be greater than or equal to 0.05 "
            "(found 0.02)",
        ),
        (
            f"{STUDENT}nve_picoseconds = 1001",
            "students.a.nve_picoseconds: Input should be less than or equal to 1000 (found 1001)",
        ),
        (
            "[students.a]\ncheckpoint = 'a\\u0000b'".replace("'", '"'),
            r"students.a.checkpoint: expected a path (found 'a\x00b')",
        ),
        (
            "[datasets.d]\npath = 'd.h5'\ngolden = 'd.txt'",
            "datasets.d.golden: expected a path that ends in .json (found 'd.txt')",
        ),
        ("[students.' ']\ncheckpoint = 'a.pt'", "students: expected names that are not empty"),
        ("[datasets.'']\npath = 'd.h5'", "datasets: expected names that are not empty"),
        (
            "[artifacts.'']\npath = 'a.onnx'\nreference = 'a.pt'",
            "artifacts: expected names that are not empty",
        ),
        (
            f"{STUDENT}{DEFECT}reason = 'r'\nlimit = 'much'",
            "students.a.known_defects.loads.limit: Input should be a valid number (found 'much')",
        ),
        (
            f"{STUDENT}{DEFECT}reason = 'r'\nlimit = {{ failures = 'much' }}",
            "students.a.known_defects.loads.limit.failures: Input should be a valid number "
            "(found 'much')",
        ),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(path, text, message):
    assert refusal(path, text) == message


@pytest.mark.parametrize("value", ["inf", "+inf", "nan"])
@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("limits.loads.failures = {}", "limits.loads.failures"),
        ("known_defects.loads = {{ reason = 'r', limit = {} }}", "known_defects.loads.limit"),
        (
            "known_defects.loads = {{ reason = 'r', limit = {{ failures = {} }} }}",
            "known_defects.loads.limit.failures",
        ),
        ("nve_picoseconds = {}", "nve_picoseconds"),
    ],
)
def test_what_nothing_exceeds_is_no_limit(path, text, key, value):
    message = refusal(path, STUDENT + text.format(value))
    assert message.startswith(f"students.a.{key}: Input should be a finite number (found ")


def test_every_mistake_is_named_at_once(path):
    message = refusal(path, "strict = 0\n[students.a]\nchekpoint = 'a.pt'\nparameters = -1")
    for key in ("strict", "students.a.checkpoint", "students.a.chekpoint", "students.a.parameters"):
        assert f"{key}: " in message


def test_a_data_set_must_be_there_to_be_named(path):
    text = f"{STUDENT}dataset = 'd'\n"
    message = "students.a.dataset: 'd' is not under [datasets] (there: {})"
    assert refusal(path, text) == message.format("none")
    assert refusal(path, f"{text}[datasets.e]\npath = 'e.h5'") == message.format("e")


def test_a_golden_needs_a_data_set(path):
    message = refusal(path, f"{STUDENT}golden = 'a.json'")
    assert message == "students.a.golden: needs students.a.dataset too"


def test_a_name_is_that_of_one_subject(path):
    """Reports and the command line know subjects by their names only."""
    message = refusal(path, f"{STUDENT}[datasets.a]\npath = 'a.h5'")
    assert message == "students.a and datasets.a: expected different names"
    artifact = "[artifacts.a]\npath = 'a.onnx'\nreference = 'a.pt'"
    message = refusal(path, f"{STUDENT}{artifact}")
    assert message == "students.a and artifacts.a: expected different names"


def test_settings_know_the_file_that_they_are_from(path, monkeypatch):
    path.write_text(STUDENT, encoding="utf-8")
    monkeypatch.chdir(path.parent)
    assert load_settings(Path(FILE_NAME)).source == path.resolve()
    assert Settings().source is None


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, "a = " + "{a = " * 100_000])
def test_what_is_nested_too_deeply_to_be_read_is_refused(path, text):
    assert refusal(path, text) == "nested too deeply"


def test_what_is_nested_too_deeply_to_be_printed_is_refused(path):
    message = refusal(path, "[students.a]\ncheckpoint." + "a." * 3000 + "a = 1")
    assert message.startswith("students.a.checkpoint: expected a path (found {'a': {")
    assert len(message) < 200


@pytest.mark.parametrize(
    ("mine", "other", "message"),
    [
        ("[students.b]", "g/../a.json", "students.a.golden and students.b.golden"),
        ("[datasets.b]", "a.json", "students.a.golden and datasets.b.golden"),
        ("[datasets.b]", "link/a.json", "students.a.golden and datasets.b.golden"),
    ],
)
def test_two_subjects_cannot_have_their_goldens_in_one_file(path, mine, other, message):
    """Accepting the one would overwrite the other."""
    (path.parent / "link").symlink_to(path.parent, target_is_directory=True)
    file = "checkpoint = 'b.pt'\ndataset = 'd'" if "students" in mine else "path = 'b.h5'"
    text = (
        f"{STUDENT}dataset = 'd'\ngolden = 'a.json'\n[datasets.d]\npath = 'd.h5'\n"
        f"{mine}\n{file}\ngolden = '{other}'\n"
    )
    assert refusal(path, text) == f"{message}: expected different files"
    different = text[: text.rindex(other)] + "b.json'"
    assert load(path, different)


def test_a_student_cannot_have_its_golden_and_its_counters_in_one_file(path):
    text = f"{STUDENT}dataset = 'd'\ngolden = 'a.json'\ncounters = 'a.json'\n"
    message = refusal(path, f"{text}[datasets.d]\npath = 'd.h5'")
    assert message == "students.a.golden and students.a.counters: expected different files"


def test_counters_need_no_data_set(path):
    assert load(path, f"{STUDENT}counters = 'a.json'").students["a"].golden is None
