"""What settings say about exports, and how mistakes are named."""

from pathlib import Path

import pytest

from mlffd.config import Settings, load_settings
from mlffd.errors import InputError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mlffd.toml"


def load(path: Path, text: str) -> Settings:
    path.write_text(text, encoding="utf-8")
    return load_settings(path)


def test_formats_come_with_their_precisions_in_order(path):
    exports = load(
        path,
        """
        [exports]
        onnx = ["fp64", "fp32"]
        onnx-molecule = ["fp32"]
        folder = "out"
        [exports.unsupported]
        aoti-fp16 = "the compiler refuses it"
        """,
    ).exports
    assert exports.precisions == {"onnx": ("fp64", "fp32"), "onnx-molecule": ("fp32",)}
    assert list(exports.precisions) == ["onnx", "onnx-molecule"]
    assert exports.folder == path.parent.resolve() / "out"
    assert exports.unsupported == {"aoti-fp16": "the compiler refuses it"}


def test_nothing_is_exported_unless_settings_say_so(path):
    exports = load(path, "").exports
    assert exports.precisions == {}
    assert exports.unsupported == {}
    assert exports.folder == path.parent.resolve() / "exports"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("exports = 3", "exports: expected a table (found 3)"),
        ("[exports]\nonnx = 'fp32'", "exports.onnx: expected a list (found 'fp32')"),
        ("[exports]\nonnx = []", "exports.onnx: Tuple should have at least 1 item"),
        ("[exports]\nonnx = [32]", "exports.onnx.0: Input should be a valid string (found 32)"),
        ("[exports]\nfolder = 4", "exports.folder: expected a path (found 4)"),
        ("[exports.unsupported]\naoti-fp16 = ''", "exports.unsupported.aoti-fp16: String should"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(path, text, message):
    with pytest.raises(InputError) as raised:
        load(path, text)
    assert str(raised.value).startswith(f"{path}: {message}")
