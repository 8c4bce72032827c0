"""Proposition U: the cost of matching two samples, bounded by halvings of space."""

import math

import numpy as np
import sympy as sp
from scipy import special, stats

from otlmc.bounds.partition import partition_bound, unmatched
from otlmc.derivations.step import Step
from otlmc.laws import Gaussian
from otlmc.marginals import GAUSSIAN, UNIFORM

TITLE = "Partition bound"
STATEMENT = r"""
Let $a_1, \dots, a_m$ and $b_1, \dots, b_m$ be independent draws from a law $\mu$ on
$\mathbb R^d$. Level 0 of
a nested sequence of partitions is $\mathbb R^d$; level $k$ cuts every cell of level $k - 1$
into two halves of
equal mass. Write $v_k$ for the mean over the cells of level $k$ of $\mathbb E|X - Y|^2$, with
$X, Y$
independent draws from $\mu$ restricted to the cell; $c_k = 2 v_{k-1} - v_k$; and
$T_k = 2^k\, \mathbb E|N - N'| / (2m)$ with $N, N'$ independent $\mathrm{Binomial}(m, 2^{-k})$.
For $p \in \{1, 2\}$ and every depth $K$,

$$
S_p(m) = \mathbb E\, W_p^p \;\le\; v_K^{p/2}\,(1 - T_K) + \sum_{k=1}^K c_k^{p/2}\,(T_k - T_{k-1}).
$$
"""


def _siblings() -> bool:
    same, apart, parent = sp.symbols("v_k c_k v_parent", positive=True)
    solution = sp.solve(sp.Eq(parent, same / 2 + apart / 2), apart)
    return solution == [2 * parent - same]


def _unmatched_by_enumeration() -> bool:
    width, level = 5, 2
    q = sp.Rational(1, 2**level)
    counts = range(width + 1)
    mass = [sp.binomial(width, n) * q**n * (1 - q) ** (width - n) for n in counts]
    spread = sum(mass[i] * mass[j] * abs(i - j) for i in counts for j in counts)
    exact = float(2**level * spread / (2 * width))
    return math.isclose(unmatched(width, level)[level], exact, rel_tol=1e-12)


def _bottom_up() -> bool:
    """Run the matching on uniform points of [0, 1], depth 2, against the formula; 5 sigma."""
    width, depth, rng = 6, 2, np.random.default_rng(0)
    costs = []
    for _ in range(20_000):
        points = [rng.uniform(size=width), rng.uniform(size=width)]
        cost = 0.0
        for level in range(depth, -1, -1):
            left: list[list[float]] = [[], []]
            for cell in range(2**level):
                inside = [x[np.floor(x * 2**level) == cell] for x in points]
                pairs = min(map(len, inside))
                a, b = (rng.permutation(x) for x in inside)
                cost += float(np.sum((a[:pairs] - b[:pairs]) ** 2))
                left[0] += list(a[pairs:])
                left[1] += list(b[pairs:])
            points = [np.array(x) for x in left]
        costs.append(cost / width)
    v = [1 / 6 * 4.0**-k for k in range(depth + 1)]
    t = unmatched(width, depth)
    formula = v[depth] * (1 - t[depth]) + sum(
        (2 * v[k - 1] - v[k]) * (t[k] - t[k - 1]) for k in range(1, depth + 1)
    )
    error = np.std(costs) / math.sqrt(len(costs))
    return bool(abs(np.mean(costs) - formula) <= 5 * error)


def _jensen() -> bool:
    a, b, weight = sp.symbols("a b w", real=True)
    gap = weight * a**2 + (1 - weight) * b**2 - (weight * a + (1 - weight) * b) ** 2
    return sp.expand(gap - weight * (1 - weight) * (a - b) ** 2) == 0


def _coordinate() -> bool:
    mean, second = sp.symbols("mu s", real=True)
    # X and Y independent with one mean and second moment: E (X - Y)^2 = 2 s - 2 mu^2
    return sp.simplify(second - 2 * mean * mean + second - 2 * (second - mean**2)) == 0


def _gaussian_profile() -> bool:
    x = sp.Symbol("x", real=True)
    density = sp.exp(-(x**2) / 2) / sp.sqrt(2 * sp.pi)
    half = 2 * sp.integrate(x * density, (x, 0, sp.oo))
    first = 2 * (1 - half**2)
    return sp.simplify(first - (2 - 4 / sp.pi)) == 0 and math.isclose(
        GAUSSIAN.profile(1), float(first), rel_tol=1e-12
    )


def _uniform_profile() -> bool:
    n, i = sp.symbols("n i", integer=True, positive=True)
    centre = sp.sqrt(3) * (2 * (i - sp.Rational(1, 2)) / n - 1)  # of interval i of n
    mean_square = sp.simplify(sp.summation(sp.expand(centre**2), (i, 1, n)) / n)
    profile = sp.simplify(2 * (1 - mean_square))
    return sp.simplify(profile - 2 / n**2) == 0 and all(
        math.isclose(UNIFORM.profile(b), 2 * 4.0**-b, rel_tol=1e-10) for b in range(6)
    )


def _by_parts() -> bool:
    depth = 4
    v = sp.symbols(f"v0:{depth + 1}", positive=True)
    t = (sp.Integer(0), *sp.symbols(f"t1:{depth + 1}", positive=True))
    c = [None, *(2 * v[k - 1] - v[k] for k in range(1, depth + 1))]
    bound = v[depth] * (1 - t[depth])
    bound += sum(c[k] * (t[k] - t[k - 1]) for k in range(1, depth + 1))
    parts = v[depth] + t[depth] * (c[depth] - v[depth])
    parts += sum(t[k] * (c[k] - c[k + 1]) for k in range(1, depth))
    drops = all(
        sp.expand(c[k] - c[k + 1] - (2 * (v[k - 1] - v[k]) - (v[k] - v[k + 1]))) == 0
        for k in range(1, depth)
    )
    return sp.expand(bound - parts) == 0 and drops


def _spread() -> bool:
    m, q = sp.symbols("m q", positive=True)
    variance = 2 * m * q * (1 - q)  # of N - N'
    return sp.simplify(sp.sqrt(variance) / (2 * m * q) - sp.sqrt((1 - q) / (2 * m * q))) == 0


def _poisson() -> bool:
    for mean in (0.1, 1.0, 7.0, 60.0):
        counts = np.arange(0, int(mean + 20 * math.sqrt(mean) + 40))
        below = stats.poisson(mean).cdf(counts)
        series = np.sum(below * (1 - below)) / mean  # E|M - M'| / (2 mean)
        width = 10**6
        level = max(int(math.log2(width / mean)), 1)
        exact = stats.binom(width, 2.0**-level)
        reach = np.arange(int(exact.mean() + 20 * exact.std() + 40))
        f = exact.cdf(reach)
        binomial = np.sum(f * (1 - f)) / exact.mean()
        if not math.isclose(
            series, special.ive(0, 2 * mean) + special.ive(1, 2 * mean), rel_tol=1e-9
        ):
            return False
        if binomial > unmatched(width, level)[level] * (1 + 1e-9):
            return False
    return True


def _falls_with_the_width() -> bool:
    """Compare exact fractions over widths, and leave one out of four in every way."""
    table = np.array([unmatched(width, 8) for width in (1, 2, 3, 5, 8, 13, 100, 1000)])
    d = sp.symbols("d1:5", real=True)
    left_out = [sum(d) - one for one in d]
    average = sp.expand(sum(left_out) / 4 - sp.Rational(3, 4) * sum(d))
    return bool((np.diff(table, axis=0) <= 1e-15).all()) and average == 0


def _by_other_means() -> bool:
    """Compute the bound anew: truncated normals, double sums, and the best depth by trial."""
    dim, width, depth = 5, 64, 22
    profile = []
    for cuts in range(depth // dim + 2):
        edges = stats.norm.ppf(np.linspace(0, 1, 2**cuts + 1))
        profile.append(2 * float(np.mean(stats.truncnorm.var(edges[:-1], edges[1:]))))
    counts = [[(k + i) // dim for i in range(dim)] for k in range(depth + 1)]  # cut in turn
    v = [sum(profile[b] for b in one) for one in counts]
    number, t = np.arange(width + 1), []
    for k in range(depth + 1):
        mass = stats.binom.pmf(number, width, 2.0**-k)
        gap = np.abs(number[:, None] - number)
        t.append(float(mass @ gap @ mass) * 2**k / (2 * width))
    values = [
        v[last] * (1 - t[last])
        + sum((2 * v[k - 1] - v[k]) * (t[k] - t[k - 1]) for k in range(1, last + 1))
        for last in range(depth + 1)
    ]
    return math.isclose(min(values), partition_bound(Gaussian(dim), width), rel_tol=1e-9)


STEPS = (
    Step(
        "Two neurons of one cell",
        r"v_{k-1} = \tfrac12 (v_k + c_k) \quad\Longleftrightarrow\quad c_k = 2 v_{k-1} - v_k",
        "symbolic",
        _siblings,
        r"""Two independent neurons of a cell of level $k - 1$ lie in the same half or in
different ones,
each with probability one half. So $c_k$ is the mean squared distance of two independent neurons
that lie in *different* halves of one cell.""",
    ),
    Step(
        "Matching from the bottom up",
        r"\text{fraction still unmatched after level } k: \quad \mathbb E = T_k",
        "numeric",
        _unmatched_by_enumeration,
        r"""Inside every cell of level $K$ pair as many $a$'s with $b$'s as possible, uniformly
at random;
then inside every cell of level $K - 1$ pair what is left over, and so on to level 0. After level
$k$ exactly $|N - N'|$ neurons of a cell are without a partner, all of one kind, with $N$ and
$N'$ its numbers of $a$'s and $b$'s; half of them
are $a$'s on average, there are $2^k$ cells, and $m$ neurons. The computer enumerates $m = 5$,
$k = 2$ in exact fractions.""",
    ),
    Step(
        "Where the left-over neurons are",
        r"\text{cost per pair at level } k - 1:\quad \mathbb E|X - Y|^2 = c_k",
        "numeric",
        _bottom_up,
        r"""Given the counts of the level-$K$ cells, the neurons of a cell are independent
draws from $\mu$
restricted to it, and those left over are a uniformly random part of them. All halves have
equal mass, so the joint law of the
counts is unchanged when two sibling cells, with all that is below them, are swapped for both
samples; the procedure is
equivariant under these swaps, and they carry any level-$K$ cell of a half to any other. Hence
a neuron left over in a half is distributed as $\mu$ restricted to that half. A left-over $a$
and a left-over $b$ that
meet at level $k - 1$ lie in different halves, and given how many neurons the two halves hold,
their contents are independent. So the
expected cost of each of the $m (T_k - T_{k-1})$ expected pairs is $c_k$, that of the
$m(1 - T_K)$ pairs of level $K$ is $v_K$. The
pairing is a permutation, so its cost is at least $W_2^2$. The computer runs the procedure on
20 000 pairs of samples.""",
    ),
    Step(
        "Order p = 1",
        r"\mathbb E|X - Y| \le \sqrt{\mathbb E |X - Y|^2}",
        "symbolic",
        _jensen,
        r"""The same pairing, with Jensen's inequality in every cell and again over the cells
of a level. The computer checks the two-point case, to which the inequality reduces.""",
    ),
    Step(
        "Product laws: one coordinate at a time",
        r"""v = \sum_i \lambda_i\, g(b_i), \qquad
g(b) = 2\Bigl(1 - 2^{-b}\sum_{I} \mathbb E[Z \mid I]^2\Bigr)""",
        "symbolic",
        _coordinate,
        r"""If the coordinates are independent and level $k$ cuts one of them at its
conditional medians, the cells are boxes whose
sides are intervals $I$ of equal mass of the standardised coordinate $Z$. For $X, Y$
independent in one interval,
$\mathbb E(X - Y)^2 = 2\,\mathbb E[X^2 \mid I] - 2\,\mathbb E[X \mid I]^2$; averaged over the
intervals the first term is 2.""",
    ),
    Step(
        "Profile of the Gaussian",
        r"\mathbb E[Z \mid I] = 2^b (\varphi(q) - \varphi(q')), \qquad g(1) = 2 - \tfrac4\pi",
        "symbolic",
        _gaussian_profile,
        r"$I = (q, q')$; the antiderivative of $x\varphi(x)$ is $-\varphi(x)$.",
    ),
    Step(
        "Profile of the uniform law",
        r"g(b) = 2 \cdot 4^{-b}",
        "symbolic",
        _uniform_profile,
        r"The interval means are the centres; their squares are summed for $n = 2^b$ intervals.",
    ),
    Step(
        "Upper bounds on the unmatched fractions are enough",
        r"""v_K + T_K (c_K - v_K) + \sum_{k=1}^{K-1} T_k\,(c_k - c_{k+1}), \qquad
c_k - c_{k+1} = 2 (v_{k-1} - v_k) - (v_k - v_{k+1})""",
        "symbolic",
        _by_parts,
        r"""Summation by parts ($T_0 = 0$). If every cut lowers $v$ by at most twice as much as
the cut before it, in particular if the greedy drops fall,
all factors of the $T_k$ are non-negative, and each $T_k$ may be replaced by an upper bound;
where a factor is negative the code drops the term, as $T_k \ge 0$.
The same holds for $p = 1$, as the square root is increasing.""",
    ),
    Step(
        "Wide layers: standard deviation",
        r"""\mathbb E|N - N'| \le \sqrt{2 m q (1 - q)}, \qquad
T_k \le \sqrt{\frac{1 - q}{2 m q}},\quad q = 2^{-k}""",
        "symbolic",
        _spread,
        "Cauchy-Schwarz.",
    ),
    Step(
        "Wide layers: Poisson",
        r"\mathrm{Binomial}(m, q) \preceq_{\mathrm{cx}} \mathrm{Poisson}(m q)",
        "cited",
        note=r"""A sum of independent indicators is below the Poisson law of the same mean in
convex order (Shaked and Shanthikumar, *Stochastic Orders*,
section 3.A: it holds for one indicator, and convex order is closed under convolution).
$|x - y|$ is convex in each argument, so $\mathbb E|N - N'|$ only grows.""",
    ),
    Step(
        "The Poisson case is a Bessel function",
        r"""\frac{\mathbb E|M - M'|}{2\mu} = e^{-2\mu}\bigl(I_0(2\mu) + I_1(2\mu)\bigr),
\qquad M, M' \sim \mathrm{Poisson}(\mu)""",
        "numeric",
        _poisson,
        r"""$M - M'$ has the Skellam law $e^{-2\mu} I_{|n|}(2\mu)$; the recurrence
$I_{n-1}(x) - I_{n+1}(x) = 2 n I_n(x) / x$ makes the sum of $|n|\,I_{|n|}$ telescope.
The computer compares the series and the closed form, and the exact binomial value with the
bound that the code takes.""",
    ),
    Step(
        "Wide layers: a narrower one",
        r"T_k(m + 1) \le T_k(m)",
        "numeric",
        _falls_with_the_width,
        r"""$N - N'$ is a sum of $m$ independent differences of indicators. The mean of $m + 1$ of
them is the average of the means of those without the $i$-th, so that its expected absolute value is
not larger. Of the three bounds the code takes the least.""",
    ),
    Step(
        "The function that computes it",
        r"U_2(64) = \min_K \Bigl[ v_K (1 - T_K) + \sum_{k \le K} c_k (T_k - T_{k-1}) \Bigr] \quad\text{for a standard Gaussian in } \mathbb R^5",
        "numeric",
        _by_other_means,
        r"""The computer evaluates the right side anew, with the variances of truncated normals,
double sums over both binomials and the coordinates cut in turn, and compares with
{py:func}`otlmc.bounds.partition_bound`. {py:func}`otlmc.bounds.rank_bound` is nearer to the truth.""",
    ),
)
