"""Numbers as people and spreadsheets write them."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import polars as pl

MISSING: Final = ("", "-", "--", "---", "n/a", "na", "nan", "null", "none", "#n/a")
"""What stands for a missing value, in lower case."""

_GROUPED: Final = r"^[-+]?\d{1,3}(([, ]\d{3})+|(\.\d{3})+)\.\d+$"
_GROUPED_WHOLE: Final = r"^[-+]?\d{1,3}(\.\d{3})+$"


def spelled(text: "pl.Series", decimal: str) -> tuple["pl.Series", "pl.Series"]:
    """Return texts as numbers, null where they are none, and the texts as compared.

    A typographic minus is a minus. Thousands marks count only beside a decimal mark,
    as in ``1,234.5``: in ``1,234`` alone the comma may be either, so it is no number.

    Parameters
    ----------
    text : stripped texts
    decimal : "." or ","
    """
    import polars as pl

    either = None
    if decimal == ",":
        either = text.str.contains(_GROUPED_WHOLE)
        text = text.str.replace(",", ".", literal=True)
    values = text.cast(pl.Float64, strict=False)
    if values.null_count():
        plain = text.str.replace_all("\u2212", "-", literal=True)
        whole = plain.str.replace(r"\.\d+$", "").str.replace_all(r"[, .]", "")
        joined = whole + "." + plain.str.extract(r"\.(\d+)$")
        again = joined.zip_with(plain.str.contains(_GROUPED), plain)
        values = values.fill_null(again.cast(pl.Float64, strict=False))
    if either is not None and either.any():
        values = values.zip_with(~either, pl.Series([None], dtype=pl.Float64))
    return values, text
