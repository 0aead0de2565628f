"""Bounds of sizes and numbers in an ONNX graph: what is known of a tensor before any of it is computed.

A size is bounded by a number times a power of the largest free size of the input. Where it is known exactly, it is a
number times free sizes by name, so that ``Reshape`` can divide by them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

MANY = 2.0**100  # larger than any size; what is bounded by it may be infinite, or no number
HELD = 2.0**53  # a float holds whole numbers up to it as they are
EXACT = 2.0**24  # the operators compute whole numbers below it exactly, in every type
MAX_NUMBERS = 32  # of a tensor, each of which is followed
Symbols = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Bound:
    """A number: exactly ``most`` times its symbols, or in magnitude at most ``most`` times N to the ``degree``."""

    most: float
    degree: int = 0
    """The power of N, the largest free size of the input."""
    exact: Symbols | None = ()
    """The free sizes it is multiplied with; None where ``most`` is a bound and no more."""

    @property
    def number(self) -> float | None:
        """The number itself, where it stands in the file."""
        return self.most if self.exact == () else None

    @property
    def loose(self) -> Bound:
        """The same as a bound."""
        return Bound(abs(self.most), self.degree, None)


ZERO, ONE = Bound(0), Bound(1)
UNIT = Bound(1, 0, None)  # what is zero or one


def constant(number: float) -> Bound:
    """Return a number of the file; what is no number is beyond all bounds."""
    return Bound(number) if -MANY < number < MANY else at_most(MANY)


def symbol(name: str) -> Bound:
    """Return a free size of the input."""
    return Bound(1, 1, ((name, 1),))


def at_most(number: float, degree: int = 0) -> Bound:
    """Return a bound."""
    return Bound(min(number, MANY), degree, None)


def _settled(most: float, degree: int, exact: Symbols | None, limit: float) -> Bound:
    """Return the result of a calculation, which is exact where every type of number computes it exactly."""
    if not most:
        return ZERO if exact is not None else at_most(0)
    if exact is None or abs(most) > limit or most != int(most):
        return at_most(abs(most), degree)
    return Bound(most, degree, exact)


def multiply(a: Bound, b: Bound, limit: float = EXACT) -> Bound:
    """Return the product of two numbers."""
    if ZERO in (a, b):
        return ZERO
    exact = None
    if a.exact is not None and b.exact is not None:
        powers = dict(a.exact)
        for name, power in b.exact:
            powers[name] = powers.get(name, 0) + power
        exact = tuple(sorted(powers.items()))
    return _settled(
        a.most * b.most if max(abs(a.most), abs(b.most)) < MANY else MANY, a.degree + b.degree, exact, limit
    )


def product(sizes: Iterable[Bound]) -> Bound:
    """Return how many values sizes make together."""
    return reduce(lambda a, b: multiply(a, b, HELD), sizes, ONE)


def add(a: Bound, b: Bound, sign: int = 1) -> Bound:
    """Return the sum of two numbers, or their difference."""
    if b == ZERO:
        return a
    if a == ZERO and sign == 1:
        return b
    if a.exact is not None and a.exact == b.exact and max(abs(a.most), abs(b.most)) <= HELD:
        return _settled(a.most + sign * b.most, a.degree, a.exact, EXACT)
    if sign == -1 and min(a.most, b.most) >= 0 and None not in (a.exact, b.exact):
        return union(a, b).loose
    return at_most(abs(a.most) + abs(b.most), max(a.degree, b.degree))


def union(a: Bound, b: Bound) -> Bound:
    """Return what bounds both numbers."""
    return a if a == b else at_most(max(abs(a.most), abs(b.most)), max(a.degree, b.degree))


def least(a: Bound, b: Bound) -> Bound:
    """Return the tighter of two bounds of one number."""
    return b if (b.degree, abs(b.most)) < (a.degree, abs(a.most)) else a


def divide(a: Bound, b: Bound, positive: bool = False) -> Bound | None:
    """Return a quotient; None where the divisor may be as small as it likes, or nothing, unless it is ``positive``."""
    if b.exact is None:
        return a.loose if positive else None
    if not b.most:
        return None
    if a.most >= MANY:  # there is no telling how much it is
        return at_most(MANY)
    most, powers = a.most / b.most, dict(a.exact or ())
    divided = a.exact is not None and abs(a.most) <= HELD
    for name, power in b.exact:
        divided &= powers.get(name, 0) >= power
        powers[name] = powers.get(name, 0) - power
    if divided:
        exact = tuple(sorted((name, power) for name, power in powers.items() if power))
        return _settled(most, sum(power for _, power in exact), exact, HELD)
    return at_most(abs(most), a.degree)


@dataclass(frozen=True)
class Tensor:
    """Bounds on a tensor, or on the tensors of a sequence together."""

    dims: tuple[Bound, ...] | None = None
    """Its sizes; None where not even their number is known."""
    count: Bound = ONE
    """How many values it has."""
    most: Bound | None = None
    """What bounds its numbers; None where they come out of the data."""
    numbers: tuple[Bound, ...] | None = None
    """Its numbers, where they are few; its sizes are numbers of the file then."""
    whole: bool = False
    """Whether its type is one of whole numbers, none of which is infinite."""
    positive: bool = False
    """Whether its numbers are one or more, so that a quotient by them is no larger; no input is empty."""
    width: float = 1.0
    """How long its longest text is, against those of the input."""
    fixed: bool = False
    """Whether it is the same for every input, so that it may be computed once and kept."""

    @property
    def values(self) -> float:
        """How many values it holds at most for each value of the input."""
        return max(self.count.most, 0) * self.width

    def grid(self) -> NDArray[Any] | None:
        """Return its numbers in their shape."""
        if self.numbers is None or self.dims is None:
            return None
        flat = np.empty(len(self.numbers), object)
        flat[:] = self.numbers
        return flat.reshape([int(size.most) for size in self.dims])

    def sized(self, dims: Iterable[Bound] | None, count: Bound | None = None) -> Tensor:
        """Return the same values in other sizes; ``count`` where it is known better than by the sizes."""
        return tensor(dims, count, most=self.most, whole=self.whole, positive=self.positive, width=self.width)


def tensor(dims: Iterable[Bound] | None, count: Bound | None = None, **more: Any) -> Tensor:
    """Return a tensor of sizes, or of a count alone."""
    sizes = None if dims is None else tuple(dims)
    if sizes is None:
        return Tensor(None, count or ONE, **more)
    whole = product(sizes)
    return Tensor(sizes, whole if count is None else least(count, whole), **more)


def of_numbers(numbers: NDArray[Any], *, whole: bool) -> Tensor:
    """Return a tensor of which every number is known; of too many only their bound is kept."""
    dims, flat = tuple(Bound(size) for size in numbers.shape), numbers.ravel().tolist()
    most = reduce(union, flat, ZERO)
    positive = all(number.exact is not None and number.most >= 1 for number in flat)
    kept = tuple(flat) if len(flat) <= MAX_NUMBERS else None
    return tensor(dims, most=most, numbers=kept, whole=whole, positive=positive)


def join(a: Tensor, b: Tensor) -> Tensor:
    """Return what holds of either of two tensors."""
    same = a.dims is not None and b.dims is not None and len(a.dims) == len(b.dims)
    dims = tuple(map(union, a.dims or (), b.dims or ())) if same else None
    numbers = None
    if a.numbers and b.numbers and a.dims == b.dims:
        numbers = tuple(map(union, a.numbers, b.numbers))
    most = None if a.most is None or b.most is None else union(a.most, b.most)
    joined = tensor(dims, union(a.count, b.count), most=most, numbers=numbers, width=max(a.width, b.width))
    return replace(joined, whole=a.whole and b.whole, positive=a.positive and b.positive)


def sizes(value: Tensor | None) -> list[Bound] | None:
    """Return the numbers of a tensor that says sizes; None where they come out of the data."""
    if value is None:
        return []
    if value.numbers is not None:
        return list(value.numbers)
    length = value.dims[0] if value.dims and len(value.dims) == 1 else ONE if value.dims == () else None
    if value.most is None or length is None or length.degree or length.most > 16:
        return None
    return [value.most.loose] * int(length.most)


def broadcast(inputs: Iterable[Tensor]) -> Tensor:
    """Return the sizes of what an operator answers that works value by value."""
    found: list[Bound] = []
    given = list(inputs)
    if any(value.dims is None for value in given):
        return tensor(None, product(value.count for value in given))
    for value in given:
        dims = list(value.dims or ())
        longer, shorter = (found, dims) if len(found) >= len(dims) else (dims, found)
        padded = [ONE] * (len(longer) - len(shorter)) + shorter
        found = [wider(a, b) for a, b in zip(longer, padded, strict=True)]
    return tensor(found)


def wider(a: Bound, b: Bound) -> Bound:
    """Return the size that two sizes become: they are the same, or one of them is one."""
    for one, other in ((a, b), (b, a)):
        if one == ONE:
            return other
    for one in (a, b):
        if one.number is not None and one.number > 1:
            return one
    return union(a, b)


def union_of(given: Iterable[Tensor]) -> Bound | None:
    """Return what bounds the numbers of several tensors; None where those of one come out of the data."""
    found = [value.most for value in given]
    return None if None in found else reduce(union, [bound for bound in found if bound is not None], ZERO)
