"""Columns that belong together: a vector, or scalars numbered one after the other."""

import numpy as np

from battlife.estimators.learned.design import Design


def column_groups(design: Design, fewest: int) -> dict[str, tuple[int, ...]]:
    """Return where in the matrix each group of at least `fewest` columns stands.

    A vector column is a group under its name; `re0`, `re1`, `re2` are one under `re`.
    Numbers must follow each other without a gap, from whatever they begin with.
    """
    at = np.concatenate([[0], np.cumsum([n or 1 for n in design.lengths])]).astype(int)
    found: dict[str, tuple[int, ...]] = {}
    numbered: dict[str, dict[int, int]] = {}
    for k, (name, length) in enumerate(zip(design.names, design.lengths, strict=True)):
        if length:
            if length >= fewest:
                found[name] = tuple(range(int(at[k]), int(at[k]) + length))
            continue
        stem = name.rstrip("0123456789")
        number = name[len(stem) :]
        if number:
            numbered.setdefault(stem, {})[int(number)] = int(at[k])
    for stem, members in numbered.items():
        order = sorted(members)
        gapless = order[-1] - order[0] + 1 == len(order)
        if gapless and len(order) >= fewest and stem not in found:
            found[stem] = tuple(members[n] for n in order)
    return found


def others(width: int, *groups: tuple[int, ...]) -> list[int]:
    """Return the columns of a matrix `width` wide that are in none of the groups."""
    taken = {column for group in groups for column in group}
    return [column for column in range(width) if column not in taken]
