"""How sure one can be of a rate that was counted: Wilson's score interval (Wilson 1927), at 95 %."""

import math

Z = 1.959963984540054  # of the normal distribution, for 95 %


def wilson(hits, tries):
    """The lowest and the highest rate that the count is compatible with; (0, 1) where nothing was tried."""
    if tries == 0:
        return 0.0, 1.0
    rate, z2 = hits / tries, Z * Z
    middle = (rate + z2 / (2 * tries)) / (1 + z2 / tries)
    half = Z / (1 + z2 / tries) * math.sqrt(rate * (1 - rate) / tries + z2 / (4 * tries * tries))
    return max(0.0, middle - half), min(1.0, middle + half)


def text(hits, tries):
    """For people: "98 of 100, 98.0 % (93.0 to 99.4)"."""
    low, high = wilson(hits, tries)
    share = f"{100 * hits / tries:.1f} %" if tries else "no rate"
    return f"{hits} of {tries}, {share} ({100 * low:.1f} to {100 * high:.1f})"
