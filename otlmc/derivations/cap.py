"""Proposition C: the cost of matching two samples, bounded by fractions shared inside caps."""

import math

import numpy as np
import sympy as sp
from scipy import integrate, stats

from otlmc.bounds import cap
from otlmc.derivations.step import Step
from otlmc.laws import Gaussian

TITLE = "Cap bound"
STATEMENT = r"""
Let $\mu$ be a product law of which $k \ge 2$ coordinates are Gaussian, with variances
$\lambda_1 \ge \dots \ge \lambda_k$ of sum $s$; let $\Lambda$ be the sum of all variances. For
$0 < c \le m / 4$ let $q = c / m$, let $C_k(q)$ be the mean cosine between the axis of a spherical
cap of mass $q$ in $\mathbb R^k$ and a uniform direction in it, let $\chi_k = \mathbb E|g|$ for a
standard Gaussian vector $g$ in $\mathbb R^k$, and let

$$
M_c = c\; \mathbb E\Bigl[\frac{1}{\max(1 + N, 1 + N')}\Bigr], \qquad
N, N' \sim \mathrm{Binomial}(m - 1, q) \text{ independent}.
$$

Then

$$
S_2(m) \;\le\; 2 \Lambda - \frac{2 s}{k}\, \chi_k^2\, M_c\, C_k(q)
+ \Bigl(\sqrt{2 \lambda_1} + \sqrt{s / m}\Bigr)^2 + \frac{\lambda_1}{m},
\qquad S_1(m) \le \sqrt{S_2(m)} .
$$
"""


def _sample(rng: np.random.Generator, width: int, dim: int, count: float) -> tuple:
    """Draw two samples and the shares of the procedure."""
    a, b = rng.standard_normal((2, width, dim))
    cosine = (a / np.linalg.norm(a, axis=1)[:, None]) @ (b / np.linalg.norm(b, axis=1)[:, None]).T
    square_of_sine = stats.beta((dim - 1) / 2, 0.5).ppf(2 * count / width)
    edges = cosine >= math.sqrt(1 - square_of_sine)
    degree_a, degree_b = edges.sum(1)[:, None], edges.sum(0)[None, :]
    shares = edges / np.maximum(np.maximum(degree_a, degree_b), 1)
    return a, b, cosine, edges, shares


def _doubly_substochastic() -> bool:
    *_, shares = _sample(np.random.default_rng(0), 200, 6, 5.0)
    return bool(max(shares.sum(0).max(), shares.sum(1).max()) <= 1 + 1e-12)


def _degrees() -> bool:
    """Compare the mean share of a sample with the formula, within 5 standard errors."""
    rng, width, place = np.random.default_rng(1), 40, 6
    count = float(cap._COUNTS[place])
    found = [_sample(rng, width, 5, count)[-1].sum() / width for _ in range(2000)]
    error = np.std(found) / math.sqrt(len(found))
    return bool(abs(np.mean(found) - cap.matched_fraction(width)[place]) <= 5 * error)


def _fraction_in_full() -> bool:
    """Enumerate both binomials at a small width."""
    width, place = 7, 3
    count = float(cap._COUNTS[place])
    mass = stats.binom.pmf(np.arange(width), width - 1, count / width)
    larger = 1 + np.maximum.outer(np.arange(width), np.arange(width))
    exact = count * float(mass @ (1 / larger) @ mass)
    return math.isclose(cap.matched_fraction(width)[place], exact, rel_tol=1e-12)


def _cosine() -> bool:
    t, k = sp.symbols("t k", positive=True)
    primitive = -((1 - t**2) ** ((k - 1) / 2)) / (k - 1)
    if sp.simplify(sp.diff(primitive, t) - t * (1 - t**2) ** ((k - 3) / 2)) != 0:
        return False
    for dim, mass in ((2, 0.2), (3, 0.01), (20, 1e-3), (100, 1e-4)):
        sine = stats.beta((dim - 1) / 2, 0.5).ppf(2 * mass)
        half = (dim - 1) / 2  # (1 + cosine) / 2 is a Beta variable

        def integrand(x: float, half: float = half) -> float:
            return x * float(stats.beta.pdf(x, half, half, loc=-1, scale=2))

        mean = integrate.quad(integrand, math.sqrt(1 - sine), 1)[0] / mass
        if not math.isclose(
            mean, float(cap.mean_cosine(np.array(dim), np.array(mass))), rel_tol=1e-6
        ):
            return False
    return True


def _gain() -> bool:
    """Compare the inner products of shared neurons with the formula; 5 standard errors."""
    rng, width, dim, place = np.random.default_rng(2), 40, 5, 6
    variances, count = np.array([3.0, 2.0, 1.0, 0.5, 0.25]), float(cap._COUNTS[place])
    found = []
    for _ in range(4000):
        a, b, *_, shares = _sample(rng, width, dim, count)
        found.append(np.einsum("ij,ik,jk,k->", shares, a, b, variances) / width)
    chi = math.sqrt(2) * math.exp(math.lgamma((dim + 1) / 2) - math.lgamma(dim / 2))
    cosine = float(cap.mean_cosine(np.array(dim), np.array(count / width)))
    formula = variances.mean() * chi**2 * cap.matched_fraction(width)[place] * cosine
    error = np.std(found) / math.sqrt(len(found))
    return bool(abs(np.mean(found) - formula) <= 5 * error)


def _polarisation() -> bool:
    u, v = sp.symbols("u v", real=True)
    return sp.expand(u * v + (u - v) ** 2 / 4 - (u + v) ** 2 / 4) == 0


def _left_over() -> bool:
    """Hold the bound on the inner product of what is left over against single samples."""
    rng = np.random.default_rng(3)
    for width, dim, count in ((30, 3, 2.0), (50, 20, 4.0), (80, 8, 10.0)):
        for _ in range(50):
            a, b, *_, shares = _sample(rng, width, dim, count)
            r, s = 1 - shares.sum(1), 1 - shares.sum(0)
            product = (r @ a) @ (s @ b) / r.sum()
            if product < -(np.linalg.norm(np.vstack([a, b]), 2) ** 2) / 2:
                return False
    return True


def _increments() -> bool:
    c, largest, a, b, inner = sp.symbols("c ell a b p", real=True)
    # |u| = |u'| = 1, <u, u'> = c; |x| = a, |x'| = b, <x, x'> = p
    process = a**2 + b**2 - 2 * c * inner
    comparison = largest**2 * (2 - 2 * c) + a**2 + b**2 - 2 * inner
    return sp.expand(comparison - process - 2 * (1 - c) * (largest**2 - inner)) == 0


def _norm() -> bool:
    """Hold the cited bound against simulated matrices, within 5 standard errors."""
    rng = np.random.default_rng(4)
    for rows, variances in ((40, np.ones(20)), (100, np.array([4.0, 1.0, 1.0, 0.1]))):
        draws = rng.standard_normal((400, rows, len(variances))) * np.sqrt(variances)
        squares = np.linalg.norm(draws, 2, axis=(1, 2)) ** 2
        bound = (math.sqrt(rows * variances[0]) + math.sqrt(variances.sum())) ** 2 + variances[0]
        if squares.mean() > bound + 5 * squares.std() / 20:
            return False
    return True


def _whole_procedure() -> bool:
    """Run the whole matching on Gaussian points in dimension 20; its cost is below the bound."""
    rng, width, dim, costs = np.random.default_rng(5), 128, 20, []
    for _ in range(40):
        a, b, *_, shares = _sample(rng, width, dim, 5.0)
        r, s = 1 - shares.sum(1), 1 - shares.sum(0)
        plan = shares + np.outer(r, s) / r.sum()
        costs.append(np.sum(a**2 + b**2) / width - 2 * np.sum(plan * (a @ b.T)) / width)
    return float(np.mean(costs)) <= cap.cap_bound(Gaussian(dim), width)


STEPS = (
    Step(
        "Shares",
        r"x_{ij} = \frac{G_{ij}}{\max(d_i, d'_j)}, \qquad \sum_j x_{ij} \le 1, \quad \sum_i x_{ij} \le 1",
        "numeric",
        _doubly_substochastic,
        r"""Let $u_i$ and $v_j$ be the directions of the $k$ *standardised* coordinates of $a_i$
and $b_j$: independent and uniform on the sphere. Let $G_{ij} = 1$ if the cosine
$\langle u_i, v_j \rangle$ is at least the one that bounds a cap of mass $q$, else 0; $d_i$ and
$d'_j$ count the neighbours of $a_i$ and of $b_j$. As $x_{ij} \le G_{ij} / d_i$, no row exceeds
1, and likewise no column. By Birkhoff's theorem a doubly stochastic matrix costs at least as much
as the best permutation, so that fractions are allowed.""",
    ),
    Step(
        "The two counts are independent, given the edge",
        r"(d_i - 1,\, d'_j - 1) \mid G_{ij} = 1 \;\sim\; \mathrm{Binomial}(m - 1, q)^{\otimes 2}",
        "numeric",
        _degrees,
        r"""Given $a_i$ and $b_j$, the other neighbours of $a_i$ are decided by the other $b$'s,
the other neighbours of $b_j$ by the other $a$'s; each lies in the cap with probability $q$,
wherever its axis points. So $\frac1m \mathbb E \sum_{ij} x_{ij} = m q\, \mathbb
E[1 / \max(1 + N, 1 + N')] = M_c$, and a share is independent of the angle of its pair. The
computer draws 2000 pairs of samples.""",
    ),
    Step(
        "The matched fraction, computed",
        r"\mathbb P\bigl(\max(N, N') \le t\bigr) = \mathbb P(N \le t)^2",
        "numeric",
        _fraction_in_full,
        "Compared with the full double sum over both binomials.",
    ),
    Step(
        "The mean cosine of a cap",
        r"""C_k(q) = \frac{(1 - t_0^2)^{(k-1)/2}}{q\,(k - 1)\, \mathrm B(\frac12, \frac{k-1}2)},
\qquad \mathbb P(\langle u, v \rangle \ge t_0) = q""",
        "symbolic",
        _cosine,
        r"""The cosine of two uniform directions has a density proportional to
$(1 - t^2)^{(k-3)/2}$, and $t$ times it has the primitive that the computer differentiates. It
also compares with quadrature.""",
    ),
    Step(
        "What is shared",
        r"""\frac1m\, \mathbb E \sum_{ij} x_{ij} \langle a_i, b_j \rangle
= \frac sk\, \chi_k^2\, M_c\, C_k(q)""",
        "numeric",
        _gain,
        r"""The shares depend on directions only, and lengths are independent of directions:
$\mathbb E |g_i| |g'_j| = \chi_k^2$. Turning all directions at once changes no share, so of the
cosine of a pair every coordinate carries $1 / k$ on average, and with it the mean $s / k$ of the
variances. Coordinates outside of the block are independent of the shares and have mean 0.""",
    ),
    Step(
        "What is left over",
        r"""\frac{\langle U, V \rangle}{R} \ge - \frac{|U - V|^2}{4 R}
\ge - \tfrac12 \bigl\| \tbinom{A}{B} \bigr\|^2, \qquad
U = \sum_i r_i a_i,\ V = \sum_j s_j b_j""",
        "symbolic",
        _polarisation,
        r"""The shares leave $r_i = 1 - \sum_j x_{ij}$ of $a_i$ and $s_j$ of $b_j$, of one sum
$R$; the plan $x_{ij} + r_i s_j / R$ is doubly stochastic. Its second part has the inner product
$\langle U, V \rangle / R = (|U + V|^2 - |U - V|^2) / 4R$ over the block. Stack the block's
coordinates of $A$ and $B$ to a matrix with $2 m$ rows: $U - V$ is its transpose applied to
$w = (r, -s)$, and $|w|^2 \le 2 R$ since $0 \le r_i, s_j \le 1$.""",
    ),
    Step(
        "The same, on samples",
        r"\langle U, V \rangle / R \ge - \tfrac12 \bigl\| \tbinom{A}{B} \bigr\|^2",
        "numeric",
        _left_over,
        "On 150 pairs of samples, one by one.",
    ),
    Step(
        "Increments of two Gaussian processes",
        r"""\bigl| u x^\top - u' x'^\top \bigr|^2 \le \lambda_1 |u - u'|^2 + |x - x'|^2,
\qquad |u| = |u'| = 1,\ |x|, |x'| \le \sqrt{\lambda_1}""",
        "symbolic",
        _increments,
        r"""With $G$ a standard Gaussian matrix with $2m$ rows and $D^2 = \operatorname{diag}(\lambda)$,
the stacked matrix is $G D$ and its norm the maximum of $\langle u, G x \rangle$ over unit $u$ and
$x = D v$, $|v| = 1$. The left side is the mean square of its increments, the right side that of
$\sqrt{\lambda_1} \langle g, u \rangle + \langle h, x \rangle$ with independent standard Gaussian
vectors $g$, $h$. The difference is $2 (1 - \langle u, u' \rangle)(\lambda_1 - \langle x, x'
\rangle) \ge 0$.""",
    ),
    Step(
        "Norm of a Gaussian matrix",
        r"""\mathbb E \bigl\| \tbinom{A}{B} \bigr\| \le \sqrt{2 m \lambda_1} + \sqrt s, \qquad
\operatorname{Var} \bigl\| \tbinom{A}{B} \bigr\| \le \lambda_1""",
        "cited",
        note=r"""The inequality of Sudakov and Fernique (of two centred Gaussian processes the one
with smaller increments has the smaller expected maximum), as in {cite:t}`davidson2001`, Theorem
II.13, for equal variances; and Poincaré's inequality for the norm, which is
$\sqrt{\lambda_1}$-Lipschitz in $G$.""",
    ),
    Step(
        "The norm, simulated",
        r"\mathbb E \bigl\| \tbinom{A}{B} \bigr\|^2 \le \bigl(\sqrt{2 m \lambda_1} + \sqrt s\bigr)^2 + \lambda_1",
        "numeric",
        _norm,
    ),
    Step(
        "Together",
        r"""S_2(m) \le 2 \Lambda - \tfrac2m\, \mathbb E \sum_{ij} x_{ij} \langle a_i, b_j \rangle
+ \tfrac1m\, \mathbb E \bigl\| \tbinom{A}{B} \bigr\|^2""",
        "numeric",
        _whole_procedure,
        r"""As every row and column of the plan sums to 1, the squares contribute $2 \Lambda$.
$S_1 \le \sqrt{S_2}$ is Jensen's inequality. The computer runs the whole matching and compares
its cost with {py:func}`otlmc.bounds.cap_bound`.""",
    ),
)
