import h5py
import numpy as np
import pytest

from battlife.archive.model_file import (
    decode_model,
    encode_model,
    read_model,
    write_model,
)
from battlife.errors import ArchiveError, InputError
from battlife.model import Source
from battlife.model.learned import Model


def model(**changes):
    fields = {
        "estimator": "table",
        "version": "1",
        "quantity": "soh",
        "unit": "1",
        "attributes": {"coverage": 0.9, "n": 3, "whole": True, "note": None},
        "arrays": {
            "parts/a/weights": np.array([0.25, 0.75]),
            "parts/a/seen": np.arange(12.0).reshape(4, 3),
            "parts/a/nothing": np.empty(0),
        },
        "texts": {"parts": ("a",), "design/names": ("U1", "U2é")},
        "sources": (Source("lot.csv", "ab" * 32, 12, "csv table"),),
        "software": "0.1",
    }
    return Model(**(fields | changes))


def test_a_model_comes_back_with_the_same_hash(tmp_path):
    path = tmp_path / "m.h5"
    write_model(path, model())
    found = read_model(path)
    assert found.sha256 == model().sha256
    assert found.texts == model().texts
    assert found.attributes == model().attributes
    assert found.sources == model().sources
    for name, array in model().arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array)
    assert list(tmp_path.iterdir()) == [path]


def test_every_part_is_in_the_hash():
    changed = [
        model(estimator="pulse"),
        model(quantity="capacity_ah"),
        model(attributes={"coverage": 0.8}),
        model(arrays={"parts/a/weights": np.array([0.25, 0.7500000001])}),
        model(texts={"parts": ("b",)}),
        model(sources=()),
        model(software="0.2"),
    ]
    assert len({m.sha256 for m in (model(), *changed)}) == len(changed) + 1


def test_the_same_model_gives_the_same_bytes():
    assert encode_model(model()) == encode_model(model())
    assert decode_model(encode_model(model())).sha256 == model().sha256


def test_large_arrays_stay_within_the_limits_of_a_reader(tmp_path):
    large = np.random.default_rng(0).normal(size=(3000, 800))
    path = tmp_path / "m.h5"
    write_model(path, model(arrays={"large": large}))
    np.testing.assert_array_equal(read_model(path).array("large"), large)


def test_every_flipped_bit_is_found_or_changes_nothing(tmp_path):
    path = tmp_path / "m.h5"
    content = encode_model(model())
    rng = np.random.default_rng(2)
    refused = 0
    for _ in range(300):
        broken = bytearray(content)
        broken[rng.integers(len(broken))] ^= 1 << rng.integers(8)
        path.write_bytes(broken)
        try:
            found = read_model(path)
        except ArchiveError:
            refused += 1
            continue
        assert found.sha256 == model().sha256
    assert refused > 20


@pytest.mark.parametrize("cut", [0, 1, 7, 8, 100, 1000])
def test_a_cut_file_is_refused(tmp_path, cut):
    path = tmp_path / "m.h5"
    path.write_bytes(encode_model(model())[:cut])
    with pytest.raises(ArchiveError):
        read_model(path)


def test_edited_numbers_are_found(tmp_path):
    path = tmp_path / "m.h5"
    write_model(path, model())
    with h5py.File(path, "r+") as file:
        file["arrays/parts/a/weights"][0] = 0.5
    with pytest.raises(ArchiveError, match="hash"):
        read_model(path)


def test_what_no_model_holds_is_refused(tmp_path):
    path = tmp_path / "m.h5"
    write_model(path, model())
    with h5py.File(path, "r+") as file:
        file["arrays/link"] = h5py.ExternalLink("/etc/passwd", "/x")
    with pytest.raises(ArchiveError, match="hard link"):
        read_model(path)


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_model(tmp_path / "none.h5")
    (tmp_path / "x.h5").write_text("hello, this is no model")
    with pytest.raises(ArchiveError, match="no model"):
        read_model(tmp_path / "x.h5")
    with pytest.raises(InputError, match="damaged, or not one for this method"):
        model().array("nowhere")
