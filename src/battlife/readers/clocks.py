"""Text that means time: durations as h:mm:ss and wall-clock stamps."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import numpy as np

from battlife.model import Column

if TYPE_CHECKING:
    import polars as pl

_DURATION: Final = (
    r"^\s*(?P<sign>-?)(?:(?P<d>\d+)(?:\s*d(?:ays?)?\s*|[.\-]|\s+))?"
    r"(?P<h>\d+):(?P<m>\d+)(?::(?P<s>\d+(?:[.,]\d+)?))?(?::(?P<ms>\d{1,3}))?\s*$"
)

_DATES: Final = (
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%d.%m.%Y",
    "%d-%b-%y",
    "%d-%b-%Y",
    "%m/%d/%y",
    "%d/%m/%y",
    "%m-%d-%Y",
    "%d-%m-%Y",
)
_TIMES: Final = ("%H:%M:%S%.f", "%I:%M:%S%.f %p", "%H:%M", "%I:%M %p")

EPOCH_RANGE_S: Final = (3.0e8, 4.0e9)
"""Seconds since 1970 of the years 1979 to 2096."""
MIN_CHUNKS: Final = 5
"""Chunks of a record that must agree before two clocks are compared."""
EXCEL_RANGE_D: Final = (25569.0, 73050.0)
"""Days since 1899-12-30 of the years 1970 to 2099."""


def durations_s(text: "pl.Series") -> Column:
    """Return ``hh:mm:ss(.fff)``, ``0d hh:mm:ss`` and ``hh:mm`` as seconds.

    Returns
    -------
    (n,) s, NaN where the text is not a duration
    """
    import polars as pl

    parts = text.str.extract_groups(_DURATION).struct.unnest()

    def number(name: str) -> "pl.Series":
        column = parts.get_column(name).str.replace(",", ".", literal=True)
        return column.cast(pl.Float64, strict=False)

    total = (
        number("d").fill_null(0.0) * 86400.0
        + number("h") * 3600.0
        + number("m") * 60.0
        + number("s").fill_null(0.0)
        + number("ms").fill_null(0.0) / 1000.0
    )
    values = total.fill_null(float("nan")).to_numpy()
    return np.where((parts.get_column("sign") == "-").fill_null(False), -values, values)


def looks_like_duration(text: "pl.Series") -> bool:
    """Say whether the first samples are written with colons."""
    head = text.head(50)
    return bool(
        head.str.contains(r"^\s*-?(\d+(\s*d(ays?)?\s*|[.\-]|\s+))?\d+:\d+").any()
    )


def dates_s(text: "pl.Series") -> Column | None:
    """Return dates without a time of day as seconds since 1970, None if they are not.

    Returns
    -------
    (n,) s, NaN where unreadable
    """
    import polars as pl

    filled = text.filter(text != "")
    if filled.is_empty():
        return None
    best: tuple[float, Column] | None = None
    for form in _DATES:
        days = text.str.to_date(form, strict=False)
        if days.null_count() > 0.1 * len(text):
            continue
        seconds = days.cast(pl.Int32).cast(pl.Float64) * 86400.0
        values = seconds.fill_null(float("nan")).to_numpy()
        span = float(np.abs(np.diff(values[np.isfinite(values)])).sum())
        if best is None or span < best[0]:
            best = (span, values)
    return None if best is None else best[1]


def stamps_s(series: "pl.Series") -> tuple[Column, bool] | None:
    """Return wall-clock stamps as seconds since 1970, and whether they are UTC.

    A stamp without a zone is taken as if it were UTC: differences are right, the
    moment is not. Where day and month are ambiguous, the order in which the stamps
    advance most steadily is taken.

    Returns
    -------
    ((n,) s with NaN where unreadable, True if the zone is known), or None
    """
    import polars as pl

    if series.dtype in (pl.Datetime, pl.Date):
        zone = getattr(series.dtype, "time_zone", None)
        micros = series.cast(pl.Datetime("us", zone)).dt.timestamp("us")
        return micros.cast(pl.Float64).fill_null(
            float("nan")
        ).to_numpy() / 1e6, zone is not None
    if series.dtype.is_numeric():
        return _from_numbers(series.cast(pl.Float64).fill_null(float("nan")).to_numpy())
    text = series.cast(pl.String).fill_null("").str.strip_chars()
    numbers = text.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
    if numbers.null_count() < 0.1 * len(numbers):
        return _from_numbers(numbers.fill_null(float("nan")).to_numpy())
    return _from_texts(text)


def _from_numbers(values: Column) -> tuple[Column, bool] | None:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return None
    low, high = float(finite.min()), float(finite.max())
    if EPOCH_RANGE_S[0] < low and high < EPOCH_RANGE_S[1]:
        return values, True
    if EPOCH_RANGE_S[0] * 1e3 < low and high < EPOCH_RANGE_S[1] * 1e3:
        return values / 1e3, True
    if EXCEL_RANGE_D[0] < low and high < EXCEL_RANGE_D[1]:
        return (values - 25569.0) * 86400.0, False
    return None


def _from_texts(text: "pl.Series") -> tuple[Column, bool] | None:
    import polars as pl

    # Fractions of a second after a comma or a colon: 10:00:00,250 and 10:00:00:250.
    text = text.str.replace(r"(\d\d:\d\d:\d\d)[,:](\d{1,6})", "$1.$2")
    filled = text.filter(text != "")
    if filled.is_empty():
        return None
    sample = filled.gather_every(max(1, filled.len() // 500))
    zoned = bool(sample.str.contains(r"(Z|[+-]\d\d:?\d\d)$").all())
    if zoned:
        text = text.str.replace(r"Z$", "+00:00")
        sample = sample.str.replace(r"Z$", "+00:00")
    best: tuple[float, float, str] | None = None
    for date in _DATES:
        for time in _TIMES:
            for between in (" ", "T"):
                form = date + between + time + ("%:z" if zoned else "")
                moments = sample.str.to_datetime(
                    form,
                    strict=False,
                    time_unit="us",
                    time_zone="UTC" if zoned else None,
                )
                share = 1.0 - moments.null_count() / sample.len()
                if share < 0.9:
                    continue
                steps = np.diff(moments.drop_nulls().dt.timestamp("us").to_numpy())
                spread = float(np.abs(steps).sum()) if steps.size else 0.0
                if best is None or (share, -spread) > (best[0], -best[1]):
                    best = (share, spread, form)
    if best is None:
        return None
    moments = text.str.to_datetime(
        best[2], strict=False, time_unit="us", time_zone="UTC" if zoned else None
    )
    micros = moments.dt.timestamp("us").cast(pl.Float64)
    return micros.fill_null(float("nan")).to_numpy() / 1e6, zoned


def clock_ratio(time: Column, wall_s: Column) -> float | None:
    """Return the median rate of the wall clock against a time column.

    Chunks of the record are compared and the median over elapsed time is taken, so
    that a pause, a daylight-saving step or a misread month does not decide.

    Returns
    -------
    seconds of wall clock per unit of `time`; None if it cannot be told: less than
    a minute of wall clock, or too few chunks that agree
    """
    good = np.isfinite(time) & np.isfinite(wall_s)
    t, w = time[good], wall_s[good]
    if t.size < 3:
        return None
    edges = np.unique(np.linspace(0, t.size - 1, 65).astype(np.int64))
    dt, dw = np.diff(t[edges]), np.diff(w[edges])
    usable = (dt > 0) & (dw > 0)
    if not usable.any():
        return None
    dt, dw = dt[usable], dw[usable]
    ratio = dw / dt
    order = np.argsort(ratio)
    # Weighted by the record's own time: a pause is long on the wall clock alone.
    weight = np.cumsum(dt[order])
    middle = float(ratio[order][np.searchsorted(weight, weight[-1] / 2.0)])
    near = np.abs(ratio / middle - 1.0) < 0.05
    # One-second stamps: a median is only good to a second of what it rests on, and
    # one chunk that holds a pause is no rate.
    steady = near.sum() >= MIN_CHUNKS and near.sum() >= 0.5 * near.size
    return middle if steady and float(dw[near].sum()) >= 60.0 else None


def iso(epoch_s: float) -> str:
    """Return a local stamp as ISO text without a zone."""
    return datetime.fromtimestamp(epoch_s, UTC).replace(tzinfo=None).isoformat()
