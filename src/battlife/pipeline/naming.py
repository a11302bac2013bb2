"""File names made from ids that came from outside."""

from pathlib import Path

MAX_STEM = 80


def safe_stem(text: str) -> str:
    """Return `text` as part of a file name: no separators, no leading dot."""
    kept = "".join(c if c.isalnum() or c in "-_." else "_" for c in text.strip())
    return kept.lstrip("._-")[:MAX_STEM] or "unit"


def numbered(target: Path, unit_id: str) -> Path:
    """Return the output name of one unit out of several."""
    return target.with_name(f"{target.stem}-{safe_stem(unit_id)}{target.suffix}")
