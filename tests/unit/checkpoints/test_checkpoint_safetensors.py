"""Checkpoints in safetensors files: what comes back, and what is refused."""

import json
import struct
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mlffd.checkpoints import (
    fingerprint,
    load_checkpoint,
    read_checkpoint,
    safetensors_reading,
    save_checkpoint,
    save_safetensors,
)
from mlffd.checkpoints.rounding import INT8, ROUNDINGS, rounded
from mlffd.checkpoints.safetensors_reading import LARGEST_HEADER
from mlffd.errors import InputError
from mlffd.students import build

safetensors = pytest.importorskip("safetensors.torch", reason="safetensors is not installed")


@pytest.fixture
def source(tmp_path):
    """A checkpoint whose matrices are long enough to be rounded."""
    torch.manual_seed(1)
    config = {"hidden_dim": 32, "num_interactions": 1, "num_rbf": 4, "max_z": 20}
    student = build("StudentForceField", config)
    student.get_buffer("reference_energies")[6] = -1035.123456789012
    path = tmp_path / "source.pt"
    save_checkpoint(path, student, elements=[1, 6], training={"seed": 3, "lr": 1e-3})
    return read_checkpoint(path)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "student.safetensors"


def taken_apart(path: Path):
    """Header, its metadata of ours, and the tensors of a file."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    return header, json.loads(header["__metadata__"]["mlffd"]), safetensors.load(content)


def put_together(path: Path, document: object, tensors: dict[str, torch.Tensor]) -> None:
    text = document if isinstance(document, str) else json.dumps(document)
    path.write_bytes(safetensors.save(tensors, {"mlffd": text}))


def write_raw(path: Path, header: str, content: bytes = b"") -> None:
    encoded = header.encode()
    path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + content)


def test_full_precision_comes_back_exactly(source, path):
    assert save_safetensors(path, source) == source.fingerprint
    found = read_checkpoint(path)
    assert found.fingerprint == fingerprint(found.weights) == source.fingerprint
    assert (found.config, found.training) == (source.config, source.training)
    assert (found.elements, found.elements_source) == ({1, 6}, "stated")
    assert found.layout == "safetensors"
    assert found.declared_parameters == found.parameter_count == source.parameter_count
    assert not any("rounded" in note for note in found.notes)
    loaded = load_checkpoint(path).state_dict()
    assert all(torch.equal(loaded[name], weight) for name, weight in source.weights.items())


@pytest.mark.parametrize("precision", ROUNDINGS)
def test_fewer_bits_come_back_as_rounding_leaves_them_and_say_of_what(source, path, precision):
    stated = save_safetensors(path, source, precision=precision)
    found = read_checkpoint(path)
    assert found.fingerprint == stated == fingerprint(rounded(source.weights, precision))
    assert stated != source.fingerprint
    assert f"weights were rounded: they were '{source.fingerprint}'" in found.notes
    assert found.weights["embedding.weight"].dtype == torch.float32
    assert found.weights["reference_energies"][6] == -1035.123456789012
    plain = path.with_name("plain.safetensors")
    save_safetensors(plain, source)
    _, _, tensors = taken_apart(path)
    saved = {"fp16": 2, "bf16": 2, INT8: 3}[precision]
    matrices = sum(
        t.numel() for t in tensors.values() if t.dtype not in (torch.float32, torch.float64)
    )
    assert path.stat().st_size < plain.stat().st_size - 0.9 * saved * matrices + 2000


def test_the_same_checkpoint_is_the_same_file(source, path):
    save_safetensors(path, source, precision=INT8)
    before = path.read_bytes()
    save_safetensors(path, source, precision=INT8)
    assert path.read_bytes() == before


def test_elements_that_nobody_knows_are_not_guessed_from_rounded_weights(tmp_path, path):
    torch.manual_seed(1)
    config = {"hidden_dim": 32, "num_interactions": 1, "num_rbf": 4, "revision": 1}
    student = build("StudentForceField", config)
    with torch.no_grad():
        student.get_parameter("embedding.weight").mul_(0.999)  # off the grid of what is untrained
    torch.save(student.state_dict(), tmp_path / "legacy.pt")
    legacy = read_checkpoint(tmp_path / "legacy.pt")
    assert legacy.elements is None
    save_safetensors(path, legacy, precision="fp16")
    found = read_checkpoint(path)
    assert (found.elements, found.elements_source) == (None, "unknown")
    assert found.revision == 1


def test_a_file_of_somebody_else_is_a_state_dict(source, path):
    weights = {f"model.{name}": weight for name, weight in source.weights.items()}
    path.write_bytes(safetensors.save(weights, {"format": "pt", "config": "not ours"}))
    found = read_checkpoint(path)
    assert found.fingerprint == source.fingerprint
    assert (found.layout, found.training) == ("safetensors", {})


def test_half_precision_of_somebody_else_is_refused(source, path):
    halves = {name: weight.half() for name, weight in source.weights.items()}
    path.write_bytes(safetensors.save(halves))
    with pytest.raises(InputError, match="float16, expected dense float32"):
        read_checkpoint(path)


def scale(tensors):
    return next(name for name in tensors if name.endswith(".scale"))


def drop_scale(document, tensors):
    del tensors[scale(tensors)]


def shorten_scale(document, tensors):
    tensors[scale(tensors)] = tensors[scale(tensors)][:-1].clone()


def wrong_scale(document, tensors):
    tensors[scale(tensors)] *= 1.01


def plain_matrix(document, tensors):
    name = scale(tensors)
    tensors[name.removesuffix(".scale")] = tensors[name.removesuffix(".scale")].float()


def rounded_vector(document, tensors):
    tensors["energy_head.0.bias"] = tensors["energy_head.0.bias"].to(torch.int8)
    tensors["energy_head.0.bias.scale"] = torch.ones(16)


def claim_fp32(document, tensors):
    document["precision"] = "fp32"


def claim_nonsense(document, tensors):
    document["precision"] = ["fp16"]


def claim_more_elements(document, tensors):
    document["elements"] = [1, 400]


def no_version(document, tensors):
    document["format_version"] = 0


def newer(document, tensors):
    document["format_version"] = 2


def wrong_cutoff(document, tensors):
    document["config"]["cutoff"] = 6.0


def lose_config(document, tensors):
    del document["config"]


def extra_weight(document, tensors):
    tensors["extra"] = torch.ones(3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop_scale, r"\.scale': expected float32, one for each row"),
        (shorten_scale, r"\.scale': expected float32, one for each row"),
        (wrong_scale, "fingerprint: the file states"),
        (plain_matrix, r"scale.*fit|which does not fit int8-weights|not expected"),
        (rounded_vector, "'energy_head.0.bias' is int8, which does not fit int8-weights"),
        (claim_fp32, "int8, expected dense float32|not expected"),
        (claim_nonsense, "precision is <list>, expected one of fp32, fp16, bf16, int8-weights"),
        (claim_more_elements, "expected distinct atomic numbers"),
        (no_version, "format_version: expected an integer from 1 on"),
        (newer, "the file is newer"),
        (wrong_cutoff, "config: cutoff is 6.0, the weights say"),
        (lose_config, "missing key 'config'"),
        (extra_weight, "not expected: 'extra'"),
    ],
)
def test_a_changed_file_is_refused(source, path, change, message):
    save_safetensors(path, source, precision=INT8)
    _, document, tensors = taken_apart(path)
    change(document, tensors)
    put_together(path, document, tensors)
    with pytest.raises(InputError, match=rf"student\.safetensors: .*({message})"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "metadata: mlffd: not valid JSON"),
        ("[1]", "metadata: mlffd: expected a JSON object"),
        ('{"format": "x", "precision": "fp32", "precision": "fp16"}', "'precision' comes twice"),
        ('{"precision": "fp32", "training": {"a": NaN}}', "NaN is no number of JSON"),
        ('{"precision": "fp32", "a": ' + "[" * 100_000 + "}", "not valid JSON"),
    ],
)
def test_metadata_that_are_not_sound_are_refused(path, text, message):
    put_together(path, text, {"w": torch.ones(3)})
    with pytest.raises(InputError, match=message):
        read_checkpoint(path)


def entry(start: int, end: int) -> str:
    return f'{{"dtype": "F32", "shape": [{(end - start) // 4}], "data_offsets": [{start}, {end}]}}'


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (f'{{"a": {entry(0, 8)}, "a": {entry(0, 8)}}}', "header: 'a' comes twice"),
        (f'{{"a": {entry(0, 8)}, "b": {entry(4, 8)}}}', "not a sound safetensors file"),
        (f'{{"a": {entry(0, 4)}}}', "not a sound safetensors file"),
        (f'{{"a": {entry(0, 800)}}}', "not a sound safetensors file"),
        ('{"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 8]}}', "not a sound"),
        ('{"__metadata__": 3}', "__metadata__: expected texts by name"),
        ('{"__metadata__": {"mlffd": 3}}', "not a sound safetensors file"),
        ("{" + " " * LARGEST_HEADER + "}", "a header of 4194306 bytes, expected at most 4194304"),
        ("{" + " " * (LARGEST_HEADER - 2) + "}", "not a sound safetensors file"),  # not too long
        ('{"a"', "header: not valid JSON"),
    ],
)
def test_headers_that_are_not_sound_are_refused(path, header, message):
    write_raw(path, header, bytes(8))
    with pytest.raises(InputError, match=rf"student\.safetensors: .*{message}"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"PK\x03\x04", bytes(8)),
        *(struct.pack("<Q", length) + b"{}" for length in (2**62, 3, 10)),
    ],
)
def test_what_is_no_safetensors_file_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(InputError, match="expected a safetensors file"):
        read_checkpoint(path)


def test_a_file_without_a_tensor_is_a_file(path):
    write_raw(path, "{}")
    assert safetensors_reading.read_safetensors_file(path) == {}


def test_metadata_are_texts():
    """The library refuses others; its next version may not."""
    with pytest.raises(InputError, match="f: expected a text"):
        safetensors_reading._parsed(3, "f")


def test_a_file_may_be_as_large_as_is_said_and_no_larger(source, path):
    save_safetensors(path, source)
    size = path.stat().st_size
    safetensors_reading.read_safetensors_file(path, size_cap=size)
    with pytest.raises(InputError, match=f"{size} bytes, expected at most {size - 1}"):
        safetensors_reading.read_safetensors_file(path, size_cap=size - 1)


def test_what_is_known_of_the_training_is_plain_and_its_order_is_no_content(source, path):
    save_safetensors(path, source)
    before = path.read_bytes()
    turned = dict(reversed(source.training.items()))
    assert list(turned) != list(source.training)
    save_safetensors(path, replace(source, training=turned))
    assert path.read_bytes() == before
    with pytest.raises(InputError, match=r"training\['blob'\]: is a bytes"):
        save_safetensors(path, replace(source, training={"blob": b"x"}))
    assert path.read_bytes() == before


def test_under_another_name_it_is_named(source, path):
    save_safetensors(path, source)
    with pytest.raises(InputError, match=r"a safetensors file \(its name is to end in"):
        read_checkpoint(path.rename(path.with_suffix(".pt")))
    with pytest.raises(InputError, match=r"expected a name that ends in \.safetensors"):
        save_safetensors(path.with_suffix(".pt"), source)


def test_weights_that_are_not_finite_are_not_written(source, path):
    source.weights["energy_head.4.bias"].fill_(torch.nan)
    with pytest.raises(InputError, match=r"energy_head\.4\.bias"):
        save_safetensors(path, source)
    assert not path.exists()


def test_a_missing_package_is_named_with_its_extra(source, path, monkeypatch):
    save_safetensors(path, source)
    monkeypatch.setitem(__import__("sys").modules, "safetensors.torch", None)
    with pytest.raises(InputError, match=r"safetensors is not installed.*mlffd\[export\]"):
        read_checkpoint(path)
