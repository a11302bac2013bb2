"""The same checks for every reader, on every measured file that ships.

A damaged file gives a typed error, or a trace with a notice, or a trace in which only
the value that was hit differs. One case cannot be told from a good file: text cut
exactly behind a record, in a format that states neither count nor end mark.
"""

import resource
import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from battlife.errors import FormatError, InputError
from battlife.model import STEP_KINDS, Severity, StepTable, Trace, trace_sha256
from battlife.readers import all_readers, detect, read
from battlife.readers._checks import checked
from datasets_index import files, load
from support import DATASETS

ENTRIES = {e["path"]: e for e in load()}
NO_LOG = (".toml", ".md")
LOGS = sorted(
    name
    for name in ENTRIES
    if not name.startswith(("licences/", "captures/", "bus_logs/"))
    and not name.endswith(NO_LOG)
    and "README" not in name
)
REFUSED = {
    "Temperature-1C-discharge.lvm": "time",
    "p492-13-summary.csv": "per cycle",
}
"""Refused on purpose, with the word the message must hold."""

READABLE = [n for n in LOGS if Path(n).name not in REFUSED]
CUT = {"unterminated_last_line", "truncated_record", "missing_records"}
NAMES_THE_LOST = {"columns_not_used"}
"""Of no weight by themselves, but they name a column whose heading was hit."""
N_DAMAGED = 200
MAX_SAMPLE_BYTES = 600_000
MAX_GROWTH_BYTES = 600 << 20


def counts(traces: Sequence[Trace]) -> set[int]:
    """Every count a file's rows may show up as: samples, steps, spectrum points."""
    return {
        sum(t.n_samples for t in traces),
        sum(len(t.steps) for t in traces if t.steps is not None),
        sum(len(s) for t in traces for s in t.spectra),
    }


@pytest.mark.parametrize("name", LOGS)
def test_exactly_one_reader_recognises_it(name: str) -> None:
    head = (DATASETS / name).read_bytes()[:4096]
    found = [r.name for r in all_readers().values() if r.recognises(head, name)]
    assert len(found) == 1


@pytest.mark.parametrize("name", READABLE)
def test_row_count_time_and_determinism(name: str) -> None:
    traces = read(DATASETS / name)
    if "n_rows" in ENTRIES[name]:
        assert ENTRIES[name]["n_rows"] in counts(traces)
    assert max(counts(traces)) > 0
    for t in traces:
        assert all((np.diff(t.time_s[s]) >= 0).all() for s in t.segments())
        (source,) = t.provenance.sources
        assert source.sha256 == ENTRIES[name]["sha256"]
        assert source.size_bytes == ENTRIES[name]["bytes"]
    again = read(DATASETS / name)
    assert [trace_sha256(t) for t in again] == [trace_sha256(t) for t in traces]


@pytest.mark.parametrize("name", READABLE)
def test_voltage_rises_in_charge_and_falls_in_discharge(name: str) -> None:
    for t in read(DATASETS / name):
        assert "sign_suspect" not in {n.code for n in t.provenance.notices}
        if t.steps is None:
            continue
        for kind, way in (("charge", 1), ("discharge", -1)):
            rows = t.steps.kind == STEP_KINDS.index(kind)
            current = t.steps.column("end_current_a")[rows]
            known = current[np.isfinite(current) & (np.abs(current) > 1e-3)]
            assert (np.sign(known) == way).mean() > 0.99 if known.size else True


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_is_refused_says_why_and_what_to_do(name: str) -> None:
    (path,) = {
        Path(n).name: DATASETS / n for n in LOGS if Path(n).name == name
    }.values()
    with pytest.raises(InputError, match=REFUSED[name]) as raised:
        read(path)
    assert raised.value.hint


@pytest.mark.parametrize("name", READABLE)
def test_a_renamed_file_is_recognised_or_refused(name: str, tmp_path: Path) -> None:
    renamed = tmp_path / "renamed.dat"
    shutil.copy(DATASETS / name, renamed)
    try:
        traces = read(renamed)
    except InputError as error:
        assert error.hint
        return
    assert counts(traces) == counts(read(DATASETS / name))


@pytest.mark.parametrize("reader", sorted(all_readers()))
@pytest.mark.parametrize("content", [b"", b"\x00" * 5000, b"%PDF-1.7\n" * 600])
def test_foreign_bytes_are_a_typed_error(reader, content, tmp_path: Path) -> None:
    path = tmp_path / "foreign.bin"
    path.write_bytes(content)
    with pytest.raises(InputError):
        read(path, all_readers()[reader])
    with pytest.raises(InputError):
        read(path)


# ---- wrong scales

NO_UNITS = {"sample_data_maccor.csv"}
"""States no unit anywhere: suspect for good."""

COUNTED = sorted(
    n
    for n in READABLE
    if n.startswith("demo/")
    or Path(n).name in {"maccor_002.txt", "nw_regular_export_ife_example.csv"}
)


@pytest.mark.parametrize("name", READABLE)
def test_no_sound_file_is_suspect(name: str) -> None:
    for t in read(DATASETS / name):
        assert bool(t.provenance.suspect) is (Path(name).name in NO_UNITS)


@pytest.mark.parametrize("name", COUNTED)
@pytest.mark.parametrize("scale", [0.5, 0.9, 1.1, 2.0])
def test_a_scaled_current_is_suspect(name: str, scale: float) -> None:
    (t,) = read(DATASETS / name)
    steps = t.steps
    if steps is not None:
        currents = ("start_current_a", "end_current_a")
        scaled = {
            k: v * scale if k in currents else v for k, v in steps.columns.items()
        }
        steps = StepTable(steps.kind, scaled)
    columns = {k: v * scale if k == "current_a" else v for k, v in t.columns.items()}
    found = checked(replace(t, columns=columns, steps=steps))
    assert "capacity_counter_disagrees" in {n.code for n in found.provenance.suspect}


# ---- damage


@dataclass(frozen=True)
class Sample:
    """A small file of one reader, and what it reads as when whole."""

    reader: str
    path: Path
    data: bytes
    traces: tuple[Trace, ...]


@pytest.fixture(scope="module")
def samples() -> tuple[Sample, ...]:
    smallest: dict[str, Path] = {}
    for name in sorted(READABLE, key=lambda n: ENTRIES[n]["bytes"]):
        path = DATASETS / name
        if path.stat().st_size <= MAX_SAMPLE_BYTES:
            smallest.setdefault(detect(path).name, path)
    return tuple(
        Sample(reader, path, path.read_bytes(), tuple(read(path)))
        for reader, path in sorted(smallest.items())
    )


def verdict(sample: Sample, damaged: bytes, folder: Path) -> str:
    """Return what reading a damaged file led to, as one word."""
    path = folder / sample.path.name
    path.write_bytes(damaged)
    try:
        traces = read(path, all_readers()[sample.reader])
    except InputError:
        return "error"
    before = {(n.code, n.message) for t in sample.traces for n in t.provenance.notices}
    for t in traces:
        for n in t.provenance.notices:
            new = (n.code, n.message) not in before
            told = n.severity is not Severity.INFO or n.code in NAMES_THE_LOST
            if (new and told) or (n.code in CUT and len(damaged) < len(sample.data)):
                return "notice"
    if len(traces) == len(sample.traces) and all(
        differing(a, b) <= 1 for a, b in zip(sample.traces, traces, strict=True)
    ):
        return "same"
    if (
        len(damaged) < len(sample.data)
        and damaged.endswith((b"\n", b"\r"))
        and b"\x00" not in damaged
    ):
        return "cut behind a record"
    return "silent"


def differing(a: Trace, b: Trace) -> int:
    """Return the number of samples, steps and spectrum points that differ."""
    pairs = [(a.time_s, b.time_s)]
    if set(a.columns) != set(b.columns) or len(a.spectra) != len(b.spectra):
        return 1 << 30
    if (a.steps is None) != (b.steps is None):
        return 1 << 30
    pairs += [(a.columns[n], b.columns[n]) for n in a.columns]
    if a.steps is not None and b.steps is not None:
        if set(a.steps.columns) != set(b.steps.columns):
            return 1 << 30
        pairs += [(a.steps.columns[n], b.steps.columns[n]) for n in a.steps.columns]
    for one, two in zip(a.spectra, b.spectra, strict=True):
        for n in ("frequency_hz", "z_re_ohm", "z_im_ohm"):
            pairs.append((getattr(one, n), getattr(two, n)))
    rows: set[int] = set()
    for one, two in pairs:
        if one.shape != two.shape:
            return 1 << 30
        unequal = ~((one == two) | (np.isnan(one) & np.isnan(two)))
        rows.update(np.nonzero(unequal)[-1].tolist())
    return len(rows)


def truncations(samples: Sequence[Sample]) -> Iterator[tuple[Sample, bytes, str]]:
    random = np.random.default_rng(20240117)
    for k in range(N_DAMAGED):
        sample = samples[k % len(samples)]
        cut = int(random.integers(0, len(sample.data)))
        yield sample, sample.data[:cut], f"{sample.reader} cut at {cut}"


def flips(samples: Sequence[Sample]) -> Iterator[tuple[Sample, bytes, str]]:
    random = np.random.default_rng(20240118)
    for k in range(N_DAMAGED):
        sample = samples[k % len(samples)]
        at, bit = int(random.integers(0, len(sample.data))), int(random.integers(0, 8))
        data = bytearray(sample.data)
        data[at] ^= 1 << bit
        yield sample, bytes(data), f"{sample.reader} bit {bit} of byte {at}"


@pytest.mark.timeout(180)
@pytest.mark.parametrize("damage", [truncations, flips])
def test_damage_is_never_silent(damage, samples, tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    silent = []
    kinds: dict[str, int] = defaultdict(int)
    for sample, data, what in damage(samples):
        found = verdict(sample, data, tmp_path)
        kinds[found] += 1
        if found == "silent":
            silent.append(what)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert silent == []
    assert sum(kinds.values()) == N_DAMAGED
    assert grown < MAX_GROWTH_BYTES


def test_cutting_every_reader_just_short_of_its_end_is_noticed(samples, tmp_path):
    for sample in samples:
        found = verdict(sample, sample.data[:-2], tmp_path)
        assert found in ("error", "notice", "same"), sample.reader


# ---- the index


def test_the_index_lists_every_file_with_its_hash() -> None:
    import hashlib

    there = {p.relative_to(DATASETS).as_posix(): p for p in files()}
    assert sorted(ENTRIES) == sorted(there)
    for name, path in there.items():
        data = path.read_bytes()
        assert ENTRIES[name]["bytes"] == len(data), name
        assert ENTRIES[name]["sha256"] == hashlib.sha256(data).hexdigest(), name
        assert "GPL" not in str(ENTRIES[name]["licence"]), name
        assert (DATASETS / str(ENTRIES[name]["notice"])).is_file(), name


def test_a_bus_log_is_named_not_read(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("(1.0) can0 123#11223344\n" * 50)
    with pytest.raises(FormatError, match="bus log"):
        read(path)
