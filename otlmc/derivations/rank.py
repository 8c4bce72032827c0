"""Proposition R: the cost of matching two samples, bounded by halvings at sample medians."""

import itertools
import math

import numpy as np
import sympy as sp
from scipy import stats

from otlmc.bounds import rank
from otlmc.derivations.step import Step
from otlmc.laws import Gaussian, Uniform

TITLE = "Rank bound"
STATEMENT = r"""
Let $\mu$ be a product law with variances $\lambda_i$, and $m = q\, 2^k$. Cut the $m$
neurons of $A$ at the
median of one coordinate *of these neurons* into two halves of $m / 2$; cut each half at the
median of
its own neurons along a next coordinate, the same for all cells of a level; and so on, until the
last $q$ neurons of a cell are sorted along one coordinate. Do the
same with $B$, along the same coordinates, and match cell with cell. With $e_i$ the expected
$i$-th
coordinate, in units of $\sqrt{\lambda_i}$, of the neuron of a final cell,

$$
S_2(m) \;\le\; \sum_i 2 \lambda_i \Bigl(1 - \frac1m \sum_{\text{cells}} e_i^2\Bigr), \qquad
S_1(m) \le \sqrt{S_2(m)} .
$$

In dimension 1 this is an equality. For a uniform law on a cube whose coordinates are cut in
turn the bound is of the order
$\log(m) / m$ in dimension 2 and $m^{-2/d}$ above, the order of the truth.
"""


def _procedure() -> bool:
    """Run the matching on Gaussian points of the plane against the library; 5 sigma."""
    width, rng, costs = 8, np.random.default_rng(1), []

    def leaves(points: np.ndarray, level: int) -> list[np.ndarray]:
        if len(points) == 1:
            return [points[0]]
        order = np.argsort(points[:, level % 2])
        half = len(points) // 2
        return leaves(points[order[:half]], level + 1) + leaves(points[order[half:]], level + 1)

    for _ in range(20_000):
        a, b = (np.array(leaves(rng.standard_normal((width, 2)), 0)) for _ in range(2))
        costs.append(np.mean(np.sum((a - b) ** 2, axis=1)))
    error = np.std(costs) / math.sqrt(len(costs))
    return bool(abs(np.mean(costs) - rank.rank_bound(Gaussian(2), width)) <= 5 * error)


def _thinning() -> bool:
    size, kept = 6, 3
    found = np.zeros((kept, size))
    subsets = list(itertools.combinations(range(size), kept))
    for subset in subsets:
        found[range(kept), subset] += 1 / len(subsets)
    formula = [
        [
            sp.Rational(sp.binomial(s - 1, j - 1) * sp.binomial(size - s, kept - j))
            / sp.binomial(size, kept)
            for s in range(1, size + 1)
        ]
        for j in range(1, kept + 1)
    ]
    exact = np.array(formula, dtype=float)
    return bool(np.allclose(found, exact) and np.allclose(rank._thinning(size, kept), exact))


def _variance() -> bool:
    x, y, e = sp.symbols("x y e", real=True)
    # E over independent X, Y with mean e and second moment s of x^2 - 2 x y + y^2
    s = sp.Symbol("s", real=True)
    expanded = sp.expand((x - y) ** 2).subs({x**2: s, y**2: s}).subs(x * y, e * e)
    return sp.simplify(expanded - 2 * (s - e**2)) == 0


def _line() -> bool:
    s, m = sp.symbols("s m", integer=True, positive=True)
    variance = s * (m + 1 - s) / ((m + 1) ** 2 * (m + 2))  # of the s-th of m uniforms
    cost = sp.simplify(sp.Integer(24) * sp.summation(variance, (s, 1, m)) / m)
    return sp.simplify(cost - 4 / (m + 1)) == 0 and all(
        math.isclose(rank.rank_bound(Uniform(1), width), 4 / (width + 1), rel_tol=1e-9)
        for width in (2, 64, 1024)
    )


def _median() -> bool:
    n = sp.Symbol("n", positive=True)
    mass, first = (
        sp.gamma(n / 2 + 1 + k) * sp.gamma(n / 2) / sp.gamma(n + 1 + k) for k in (0, 1)
    )  # integrals of x^(n/2 + k) (1 - x)^(n/2 - 1)
    return sp.simplify(sp.gammasimp(first / mass) - (n + 2) / (2 * (n + 1))) == 0


def _uniform_recursion() -> bool:
    n, w = sp.symbols("n w", positive=True)
    shrunk = w * (n + 2) / (2 * (n + 1))  # expected length of either half
    gain = (w * n / (4 * (n + 1))) ** 2  # of the mean of e^2: the halves' centres move apart
    fluctuation = (w**2 - shrunk**2) / 12 - gain
    return sp.simplify(fluctuation - w**2 * n / (12 * (n + 1) ** 2)) == 0


def _uniform_cost(dim: int, levels: int) -> float:
    """Twelve times the formula of the step, summed over the coordinates."""
    total = 0.0
    for coordinate in range(dim):
        length, fluctuation = 1.0, 0.0
        for level in range(coordinate, levels, dim):
            n = 2.0 ** (levels - level)
            fluctuation += length**2 * n / (n + 1) ** 2
            length *= (n + 2) / (2 * (n + 1))
        total += 12 * (length**2 + fluctuation) / 6
    return total


def _rates() -> bool:
    same = all(
        math.isclose(rank.rank_bound(Uniform(d), 2**k), _uniform_cost(d, k), rel_tol=1e-6)
        for d, k in ((1, 8), (2, 10), (3, 12), (5, 10))
    )
    steps = np.diff([_uniform_cost(2, k) * 2.0**k for k in (20, 40, 60)])
    logarithmic = math.isclose(steps[0], steps[1], rel_tol=1e-3)
    powers = all(
        math.isclose(
            _uniform_cost(d, d * 12) * 4.0**12, _uniform_cost(d, d * 14) * 4.0**14, rel_tol=0.01
        )
        for d in (3, 4, 6)
    )
    return same and logarithmic and powers


def _jensen() -> bool:
    """Try the inequality on intervals with random ends in the upper half."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        low = rng.uniform(0.5, 0.9, 200)
        high = low + rng.uniform(0.0, 1.0, 200) * (0.999 - low)
        for place in (0.1, 0.5, 0.9):
            inside = stats.norm.ppf(low + place * (high - low))
            middle = stats.norm.ppf(low.mean() + place * (high.mean() - low.mean()))
            if inside.mean() < middle - 1e-12:
                return False
    return True


def _hoeffding() -> bool:
    return all(
        stats.binom.sf(n // 2 - 1, n - 1, 0.5 - x) <= math.exp(-2 * (n - 1) * x * x) * (1 + 1e-12)
        for n in (2, 8, 64, 1024, 8192)
        for x in np.linspace(0, 0.49, 50)
    )


def _slack() -> bool:
    hat, loss = sp.symbols("a b", positive=True)
    return sp.expand((hat - loss) ** 2 - (hat**2 - 2 * hat * loss) - loss**2) == 0


STEPS = (
    Step(
        "The counts agree",
        r"W_2^2(\hat\mu_A, \hat\mu_B) \le \frac1m \sum_{\text{cells}} |a_{\text{cell}} - b_{\text{cell}}|^2",
        "numeric",
        _procedure,
        r"""Every cell holds equally many neurons of $A$ and of $B$, whatever was drawn, so
that nothing is left over and
the matching is a permutation. (The partition bound, {prf:ref}`partition-bound`, cuts at the
medians of the law; its left-over neurons cost the order $m^{-1/2}$.) The computer runs the
procedure 20 000 times in the plane and finds the value of
{py:func}`otlmc.bounds.rank_bound`.""",
    ),
    Step(
        "Cuts along other coordinates are blind",
        r"\mathbb P(\text{rank } s \text{ of } N \mid \text{rank } j \text{ of } n) = \binom{s-1}{j-1}\binom{N-s}{n-j} \Big/ \binom Nn",
        "numeric",
        _thinning,
        r"""The coordinates are independent. Seen from coordinate $i$, a halving along another
coordinate therefore keeps a uniformly random
half of a cell, and a halving along coordinate $i$ keeps its lower or upper ranks. So $e_i$
depends only on the
halvings of coordinate $i$ and on the sizes of the cells; it is found from the expected order
statistics $\mathbb E Z_{(s)}$ by keeping half of the ranks, and
between two such cuts by averaging over the rank that the neuron of rank $j$ of a random subset
had before. The computer enumerates all subsets for $N = 6$, $n = 3$.""",
    ),
    Step(
        "The cost of a cell",
        r"\mathbb E(X - Y)^2 = 2\,(\mathbb E X^2 - e^2), \qquad \frac1m\sum_{\text{cells}} \mathbb E X^2 = 1",
        "symbolic",
        _variance,
        r"""The neurons of $A$ and of $B$ in one cell are independent with one law, as the two
procedures are the same. Every neuron is in
exactly one final cell, so that the second moments average to that of the law. Summed over the
coordinates this is the statement; $S_1 \le \sqrt{S_2}$ is Jensen's inequality.""",
    ),
    Step(
        "Dimension 1",
        r"S_2(m) = \frac2m \sum_s \operatorname{Var} X_{(s)}; \qquad \text{uniform: } \frac{4}{m + 1} \text{ (variance 1)}",
        "symbolic",
        _line,
        r"""The cells hold the order statistics, and sorting is the optimal matching on a line: the
bound is exact. In any dimension a permutation costs, in each coordinate, at least what sorting that
coordinate does, so that $\sum_i \frac{2 \lambda_i}m \sum_s \operatorname{Var} Z_{(s)} \le S_2(m)$.""",
    ),
    Step(
        "Where a cut lies",
        r"\text{upper end of the lower half: } \mathrm{Beta}(\tfrac n2 + 1, \tfrac n2), \qquad \mathbb E = \frac{n + 2}{2 (n + 1)}",
        "symbolic",
        _median,
        r"""Write coordinates as $Q(u)$ with $Q$ the quantile function. Given the nearest
neurons outside, the $n$ neurons of a cell are independent and uniform in $u$ between them.
The $n / 2$ lowest lie, independent and uniform, below the one of rank $n / 2 + 1$, whose place
is the given Beta variable; the upper half mirrors it.""",
    ),
    Step(
        "Uniform laws",
        r"""2 \operatorname{Var} = \frac{w_b^2}{6} + \frac16 \sum_{j=1}^{b} \frac{w_{j-1}^2\,
n_j}{(n_j + 1)^2}, \qquad
w_j = w_{j-1} \frac{n_j + 2}{2 (n_j + 1)},\ w_0 = 1""",
        "symbolic",
        _uniform_recursion,
        r"""For a coordinate uniform on an interval of length 1, cut $b$ times in cells of
sizes $n_1 > n_2 > \dots$: expectations stay linear in the rank, so $e$ is the centre
of the interval between the expected ends. Every cut divides its expected length $w$ nearly by
two, and adds the fluctuation of a median, $w^2 / n$ up to a constant: the square of a shift,
where the partition bound pays the shift itself.""",
    ),
    Step(
        "Rates",
        r"d = 2:\ \frac{\log m}{m}, \qquad d \ge 3:\ m^{-2/d}",
        "numeric",
        _rates,
        r"""Cut in turn, a coordinate has $w_{j} \approx 2^{-j}$ and
$n_j \approx m\, 2^{-d j}$. So the $j$-th term is of the order $2^{(d - 2) j} / m$: all of the
$\tfrac12 \log_2 m$ terms are alike in dimension 2, and the last one, of the order of the cell,
rules above. The factors $(n + 2) / (n + 1)$ of $w$ have a bounded product. The computer
compares the formula with {py:func}`otlmc.bounds.rank_bound` and evaluates it up to
$m = 2^{84}$.""",
    ),
    Step(
        "Beyond the exact range: Jensen",
        r"\mathbb E\, Q\bigl(L + v (H - L)\bigr) \ge Q\bigl(\mathbb E L + v\, \mathbb E(H - L)\bigr)",
        "numeric",
        _jensen,
        r"""The expected order statistics are computed exactly up to $m = 4096$. For wider
layers let $L$, $H$ be the ends, in $u$, of a cell after its large cuts, and $v$ the relative
place inside, whose law the smaller cuts decide independently of $L$ and $H$. Where $Q$ is
convex, i.e. above the median of a symmetric unimodal law, the inequality bounds $e$ from below
by the expected ends, which are products of the means of the last two steps; below the median
it bounds $-e$.""",
    ),
    Step(
        "Beyond the exact range: crossing the median",
        r"\mathbb P(\text{in an upper cell} \mid u = \tfrac12 - x) \le e^{-2 (n - 1) x^2}",
        "numeric",
        _hoeffding,
        r"""A neuron of an upper cell can lie below the median of the law, where $Q$ is
concave. Replace $Q$ there by its tangent at the median (or a line less steep): the function
$h$ so made is convex, and $\mathbb E Q \ge h(\cdot) - \mathbb E(h - Q)(U)$. The neuron is
above the median
of its cell of $n$ only if $n / 2$ of the $n - 1$ others are below it: Hoeffding's inequality.
As $h \ge Q$, the code may evaluate $Q$ in place of $h$.""",
    ),
    Step(
        "Beyond the exact range: squares",
        r"e \ge \hat e - \delta \ge 0 \;\Rightarrow\; e^2 \ge \hat e^2 - 2 \hat e\, \delta, \qquad \overline{e^2} \ge \overline{\hat e^2} - 2 \max \hat e\;\overline{\delta}",
        "symbolic",
        _slack,
        r"""With $\delta$ the loss of the last step in a cell; its average over the cells is an
integral against the Hoeffding bound, of the order $m^{-2}$. Where $0 \le \hat e < \delta$ the
inequality for $e^2$ holds as well, as its right-hand side is negative; an $\hat e < 0$ in an upper
cell, which does not occur, would be replaced by 0.""",
    ),
)
