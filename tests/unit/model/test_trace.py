"""What a Trace accepts, refuses and guarantees."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from battlife.errors import InputError
from battlife.model import (
    Provenance,
    Source,
    Spectrum,
    Step,
    StepTable,
    Trace,
    trace_sha256,
)
from battlife.quantities import QUANTITIES

PACK_QUANTITIES = sorted(
    n for n, q in QUANTITIES.items() if not q.per_cell and n != "time_s"
)
finite = st.floats(-1e6, 1e6, allow_nan=False)
any_float = st.floats(-1e6, 1e6) | st.just(float("nan"))


def make(time_s, starts=(0,), columns=None, **fields) -> Trace:
    return Trace(
        unit_id=fields.pop("unit_id", "u"),
        start_utc=fields.pop("start_utc", None),
        time_s=np.asarray(time_s, dtype=float),
        segment_start=np.asarray(starts),
        columns=columns or {},
        **fields,
    )


@st.composite
def traces(draw, min_n=1) -> Trace:
    n = draw(st.integers(min_n, 30))
    starts = (
        draw(st.sets(st.integers(1, max(1, n - 1)), max_size=3)) if n > 1 else set()
    )
    edges = sorted({0} | starts)
    time_s = np.concatenate(
        [
            np.sort(draw(hnp.arrays(float, b - a, elements=finite)))
            for a, b in zip(edges, [*edges[1:], n], strict=True)
        ]
    )
    names = draw(st.lists(st.sampled_from(PACK_QUANTITIES), unique=True, max_size=3))
    columns = {x: draw(hnp.arrays(float, n, elements=any_float)) for x in names}
    if draw(st.booleans()):
        columns["cell_voltage_v"] = draw(hnp.arrays(float, (2, n), elements=any_float))
    return make(time_s, edges, columns)


@given(traces())
def test_every_array_is_read_only_and_contiguous(trace: Trace) -> None:
    for array in (trace.time_s, trace.segment_start, *trace.columns.values()):
        assert not array.flags.writeable
        assert array.flags.c_contiguous
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


@given(traces())
def test_segments_cover_every_sample_once_and_time_never_falls(trace: Trace) -> None:
    covered = np.concatenate([np.arange(s.start, s.stop) for s in trace.segments()])
    assert covered.tolist() == list(range(trace.n_samples))
    assert all((np.diff(trace.time_s[s]) >= 0).all() for s in trace.segments())


@given(traces(min_n=2), st.data())
def test_time_going_back_inside_a_segment_is_refused(trace: Trace, data) -> None:
    row = data.draw(st.integers(1, trace.n_samples - 1))
    assume(row not in trace.segment_start)
    time_s = np.array(trace.time_s)
    time_s[row] = time_s[row - 1] - 1.0
    with pytest.raises(InputError, match="time goes back"):
        make(time_s, trace.segment_start)
    # The same moment may begin a segment.
    assert make(time_s[row - 1 : row + 1], (0, 1)).n_segments == 2


@given(st.text(min_size=1).filter(lambda s: s not in QUANTITIES))
def test_an_unknown_name_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="unknown column"):
        make([0, 1], columns={name: np.zeros(2)})


def test_time_is_no_column() -> None:
    with pytest.raises(InputError, match="unknown column"):
        make([0, 1], columns={"time_s": np.zeros(2)})


@given(
    st.sampled_from(PACK_QUANTITIES),
    st.integers(0, 20),
    st.integers(0, 20).filter(bool),
)
def test_another_length_is_refused(name: str, n: int, more: int) -> None:
    with pytest.raises(InputError, match="shape"):
        make(np.arange(n), columns={name: np.zeros(n + more)})


@pytest.mark.parametrize("shape", [(3,), (3, 2), (1, 2, 3)])
def test_a_cell_quantity_is_cells_by_samples(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="n_cells"):
        make([0, 1, 2], columns={"cell_voltage_v": np.zeros(shape)})


@given(st.sampled_from([np.nan, np.inf, -np.inf]), st.integers(0, 4))
def test_time_that_is_no_number_is_refused(value: float, row: int) -> None:
    time_s = np.arange(5.0)
    time_s[row] = value
    with pytest.raises(InputError, match=f"sample {row}"):
        make(time_s)


@pytest.mark.parametrize(
    "starts", [[], [1], [0, 0], [0, 2, 1], [0, 3], [0, -1], [[0]], [0, 4]]
)
def test_bad_segments_are_refused(starts: list[int]) -> None:
    with pytest.raises(InputError, match="segment_start"):
        make([0, 1, 2], starts)


def test_missing_values_are_kept_as_nan() -> None:
    trace = make([0, 1], columns={"voltage_v": [np.nan, 3.7]})
    assert np.isnan(trace.column("voltage_v")[0])


def test_the_callers_array_is_not_shared() -> None:
    values = np.array([1.0, 2.0])
    trace = make([0, 1], columns={"voltage_v": values})
    values[0] = 9.0
    assert trace.column("voltage_v")[0] == 1.0


def test_an_empty_trace_has_no_segment_to_walk() -> None:
    trace = make([])
    assert trace.n_samples == 0
    assert trace.segments() == ()
    assert trace.duration_s == 0.0


def test_gaps_between_segments_do_not_count() -> None:
    assert make([0, 10, 5, 6], (0, 2)).duration_s == 11.0


def test_a_unit_needs_an_id_and_a_start_needs_a_zone() -> None:
    with pytest.raises(InputError, match="id"):
        make([0], unit_id=" ")
    with pytest.raises(ValueError, match="timezone"):
        make([0], start_utc=datetime(2020, 1, 1))  # noqa: DTZ001


def test_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match="no voltage_v"):
        make([0]).column("voltage_v")


def test_changed_adds_one_step() -> None:
    trace = make([0, 1], columns={"voltage_v": [3.0, 4.0]})
    step = Step("f", {}, "0")
    other = trace.changed(step, columns={"voltage_v": np.array([1.0, 2.0])})
    assert other.provenance.steps == (step,)
    assert trace.provenance.steps == ()
    assert other.column("voltage_v").tolist() == [1.0, 2.0]


# ---- the digest


@given(traces(), st.data())
def test_any_single_change_changes_the_digest(trace: Trace, data) -> None:
    names = ["time_s", *sorted(trace.columns)]
    name = data.draw(st.sampled_from(names))
    values = np.array(trace.column(name))
    at = data.draw(st.integers(0, values.size - 1))
    was = values.flat[at]
    if name == "time_s":
        # Rising after the last sample keeps the order valid.
        at = values.size - 1
        was = values.flat[at]
    values.flat[at] = 0.5 if np.isnan(was) else np.nextafter(was, np.inf)
    fields = {"time_s": trace.time_s, "columns": dict(trace.columns)}
    if name == "time_s":
        fields["time_s"] = values
    else:
        fields["columns"][name] = values
    other = make(fields["time_s"], trace.segment_start, fields["columns"])
    assert trace_sha256(other) != trace_sha256(trace)


def test_the_digest_knows_names_segments_steps_spectra_start_and_unit() -> None:
    base = {"columns": {"voltage_v": [1.0, 2.0]}}
    table = StepTable(np.array([1]), {"duration_s": [1.0]})
    spectrum = Spectrum([1.0], [2.0], [3.0])
    variants = [
        make([0, 1], **base),
        make([0, 1], columns={"load_voltage_v": [1.0, 2.0]}),
        make([0, 1], (0, 1), **base),
        make([0, 1], steps=table, **base),
        make([0, 1], steps=StepTable(np.array([2]), {"duration_s": [1.0]}), **base),
        make([0, 1], steps=StepTable(np.array([1]), {"duration_s": [2.0]}), **base),
        make([0, 1], spectra=(spectrum,), **base),
        make([0, 1], spectra=(Spectrum([1.0], [2.0], [-3.0]),), **base),
        make([0, 1], spectra=(Spectrum([1.0], [2.0], [3.0], time_s=4.0),), **base),
        make([0, 1], start_utc=datetime(2020, 1, 1, tzinfo=UTC), **base),
        make([0, 1], unit_id="v", **base),
    ]
    assert len({trace_sha256(t) for t in variants}) == len(variants)


@given(traces(), st.text(), st.text())
def test_where_a_file_lay_does_not_change_the_digest(trace, one: str, two: str) -> None:
    def at(path: str) -> Trace:
        where = Provenance(sources=(Source(path, "0" * 64, 1, "f"),))
        return make(
            trace.time_s, trace.segment_start, dict(trace.columns), provenance=where
        )

    assert trace_sha256(at(one)) == trace_sha256(at(two)) == trace_sha256(trace)


def test_the_digest_is_pinned() -> None:
    # Archives quote it: a change of this value is a change of the file format.
    trace = make([0.0, 1.5], columns={"voltage_v": [3.0, np.nan]})
    import hashlib

    def part(name: str, dtype: str, array) -> bytes:
        values = np.asarray(array, dtype=dtype)
        return f"{name}:{dtype}:{values.shape};".encode() + values.tobytes()

    expected = hashlib.sha256(
        b"battlife trace 1;u;;"
        + part("time_s", "<f8", [0.0, 1.5])
        + part("segment_start", "<i8", [0])
        + part("voltage_v", "<f8", [3.0, np.nan])
    ).hexdigest()
    assert trace_sha256(trace) == expected


# ---- steps and spectra


@given(st.integers().filter(lambda k: not 0 <= k < 5 and abs(k) < 2**62))
def test_an_unknown_step_kind_is_refused(kind: int) -> None:
    with pytest.raises(InputError, match="step kind"):
        StepTable(np.array([0, kind]))


def test_step_columns_are_named_and_as_long_as_the_table() -> None:
    with pytest.raises(InputError, match="unknown step column"):
        StepTable(np.array([0]), {"voltage_v": [1.0]})
    with pytest.raises(InputError, match="shape"):
        StepTable(np.array([0]), {"duration_s": [1.0, 2.0]})
    with pytest.raises(InputError, match="one-dimensional"):
        StepTable(np.array([[0]]))


def test_a_step_column_the_source_lacks_is_nan() -> None:
    table = StepTable(np.array([0, 1]), {"duration_s": [1.0, 2.0]})
    assert len(table) == 2
    assert table.column("duration_s").tolist() == [1.0, 2.0]
    assert np.isnan(table.column("end_voltage_v")).all()
    with pytest.raises(KeyError):
        table.column("nonsense")


@pytest.mark.parametrize("n", [(1, 1, 2), (1, 2, 1), (2, 1, 1)])
def test_spectrum_arrays_have_one_length(n: tuple[int, int, int]) -> None:
    with pytest.raises(InputError, match="one length"):
        Spectrum(*(np.ones(k) for k in n))


def test_a_spectrum_is_read_only() -> None:
    spectrum = Spectrum([1.0, 2.0], [3.0, 4.0], [5.0, 6.0])
    assert len(spectrum) == 2
    assert not spectrum.z_re_ohm.flags.writeable
    with pytest.raises(InputError, match="1-D"):
        Spectrum(np.ones((1, 2)), np.ones((1, 2)), np.ones((1, 2)))
