import numpy as np
import polars as pl
import pytest

from battlife.errors import InputError
from battlife.readers.feature_tables import is_table, read_feature_table


def written(tmp_path, text, name="t.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_numbers_texts_and_vectors_of_a_csv(tmp_path):
    table = read_feature_table(
        written(tmp_path, 'cell,soh,v\nA1,0.9,"[1, 2, 3]"\nA2,n/a,[4;5]\nA3,,\n')
    )
    assert len(table) == 3
    np.testing.assert_array_equal(table.number("soh"), [0.9, np.nan, np.nan])
    assert [v.tolist() for v in table.vectors["v"]] == [[1, 2, 3], [4, 5], []]
    assert table.label("cell") == ("A1", "A2", "A3")
    assert table.sources[0].format == "csv table"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_delimiters_and_byte_order_mark(tmp_path, delimiter):
    text = f"\ufeffcell{delimiter}soh\n7{delimiter}0.5\n"
    table = read_feature_table(written(tmp_path, text))
    assert table.names == ("cell", "soh")
    assert table.label("cell") == ("7",)
    assert table.number("soh").tolist() == [0.5]


def test_parquet_with_vectors(tmp_path):
    path = tmp_path / "t.parquet"
    pl.DataFrame(
        {"cell": [1, 2], "q": [[1.0, None], []], "name": ["a", None]}
    ).write_parquet(path)
    table = read_feature_table(path)
    assert table.label("cell") == ("1", "2")
    assert table.vectors["q"][1].size == 0
    assert np.isnan(table.vectors["q"][0][1])
    assert table.label("name") == ("a", "")


@pytest.mark.parametrize(
    "text",
    ["", "\n", "a,b\n", "a,a\n1,2\n", b"PAR1 and then nothing", b"\xff\xfe\x00a"],
)
def test_what_is_no_table_is_refused(tmp_path, text):
    path = written(tmp_path, text)
    with pytest.raises(InputError) as caught:
        read_feature_table(path)
    assert caught.value.message
    assert not is_table(path, [])


def test_a_missing_file_and_a_missing_column(tmp_path):
    with pytest.raises(InputError, match="cannot be opened"):
        read_feature_table(tmp_path / "none.csv")
    table = read_feature_table(written(tmp_path, "a,b\n1,x\n"))
    with pytest.raises(InputError, match="holds no numbers"):
        table.number("b")
    with pytest.raises(InputError, match="is not there"):
        table.label("c")


@pytest.mark.parametrize("seed", range(30))
def test_damaged_parquet_gives_a_table_or_a_typed_error(tmp_path, seed):
    path = tmp_path / "t.parquet"
    pl.DataFrame({"a": np.arange(50.0), "b": [[1.0, 2.0]] * 50}).write_parquet(path)
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(seed)
    content[rng.integers(4, len(content))] ^= 1 << rng.integers(8)
    path.write_bytes(content)
    try:
        assert len(read_feature_table(path)) >= 0
    except InputError as error:
        assert error.message


def test_a_file_that_is_no_table_says_so_in_one_line_with_a_hint(tmp_path):
    with pytest.raises(InputError) as failed:
        read_feature_table(written(tmp_path, "a,b\n1,2,3,4\n"))
    assert "cannot be read as a table" in failed.value.message
    assert "\n" not in failed.value.message
    assert "one header line" in failed.value.hint
