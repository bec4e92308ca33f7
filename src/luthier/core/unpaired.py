"""The difference of two means that were taken of different items, from their intervals.

With means a and b and their intervals [la, ua] and [lb, ub], the interval of d = a - b is

    d - sqrt((a - la)^2 + (ub - b)^2)    to    d + sqrt((ua - a)^2 + (b - lb)^2)

From Wilson's intervals of shares this is Newcombe's hybrid score interval (Newcombe 1998, Statistics in Medicine 17,
method 10), which stays within -1 and 1 and holds for small shares; from intervals of other means it is the recovery of
variances of Zou & Donner 2008 (Statistics in Medicine 27), close to Welch's.

    56 of 70 against 48 of 80: .80 [.691, .878] and .60 [.490, .700], so .20 [.052, .334]
"""

from __future__ import annotations

import math

from luthier.core.statistics import Interval


def unpaired_difference(a: Interval, b: Interval) -> Interval:
    """a - b with its interval; `n` is that of both together, and what cannot be told is nan.

    Args:
        a, b: of items that have nothing in common, both with an interval of the same confidence.
    """
    difference = a.mean - b.mean
    low = difference - math.hypot(a.mean - a.low, b.high - b.mean)
    high = difference + math.hypot(a.high - a.mean, b.mean - b.low)
    return Interval(difference, low, high, a.n + b.n)
