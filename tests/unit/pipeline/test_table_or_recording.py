"""What `screen` takes for a table of features, and what for a recording."""

from battlife.pipeline.screening import _table_with_any


def test_one_column_of_the_model_makes_a_table_and_none_a_recording(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("unit,U1,V2\na,3.1,3.2\n")
    found = _table_with_any(path, ["U1", "U2"])
    # The missing U2 can then be named, rather than no reader being found.
    assert found is not None
    assert "V2" in found.names
    assert _table_with_any(path, ["charge_ah"]) is None


def test_what_cannot_be_read_as_a_table_is_none(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("U1,U2\n1,2,3,4\n")
    assert _table_with_any(path, ["U1"]) is None
