"""Deep networks at initialisation: the recursion over layers for covariance-aware matching."""

import numpy as np
import sympy as sp

from otlmc import kernels
from otlmc.derivations.step import Step
from otlmc.wasserstein import distance

TITLE = "Deep networks"
STATEMENT = r"""
Two independent networks with Gaussian weights of standard deviation $s / \sqrt{m_{l-1}}$, Gaussian biases of standard deviation $b$ and $L$ hidden
layers are aligned from the input upwards, each layer by the permutation that brings its rows of (weights, bias) closest in the metric of the second moments of
$(\varphi_A^{l-1}, 1)$. Norms are root mean squares over neurons, data and weights. Let $\omega_l^2 = \mathbb E\, W_2^2$ of the rows of layer $l$ in that metric, $e_l = |\varphi_A^l - \tilde\varphi_B^l|$, and for
the network $M_t$ on the path $g_l = |\varphi_{M_t}^l - \varphi_A^l|$, $\tilde g_l = |\varphi_{M_t}^l - \tilde\varphi_B^l|$. With $\kappa = 1/\sqrt2$ for ReLU and $\kappa$ the Lipschitz constant of the activation else,

$$
\begin{aligned}
e_l &\le \kappa\,(\omega_l + s\, e_{l-1}), \qquad g_l \le \kappa\,(t\, \omega_l + s\, g_{l-1}), \\
\tilde g_l &\le \min\bigl\{ g_l + e_l,\; \kappa \bigl[(1 - t)(s\, g_{l-1} + \omega_l + s\, e_{l-1}) + t\, s\, \tilde g_{l-1}\bigr] \bigr\},
\end{aligned}
$$

all zero at the input, and the output, with weights of standard deviation $s_{\mathrm{out}} / \sqrt{m_L}$, deviates from the straight line by at most $s_{\mathrm{out}} \sqrt{(1-t)^2 g_L^2 + t^2 \tilde g_L^2}$.
"""


def _symmetry() -> bool:
    u, v = sp.symbols("u v", real=True)

    def relu(z: sp.Expr) -> sp.Expr:
        return sp.Max(z, 0)

    both = (relu(u) - relu(v)) ** 2 + (relu(-u) - relu(-v)) ** 2
    p, q = sp.symbols("p q", positive=True)
    same = sp.simplify(both.subs({u: p, v: q}) - (p - q) ** 2)
    opposite = sp.expand((p + q) ** 2 - both.subs({u: p, v: -q}) - 2 * p * q)
    return same == 0 and opposite == 0


def _add_and_subtract() -> bool:
    wa, wb, a, b, m, t = sp.symbols("W_A W_B a b m t")  # scalars stand for the linear maps
    wt = (1 - t) * wa + t * wb
    first = wa * a - wb * b - ((wa - wb) * a + wb * (a - b))
    second = wt * m - wa * a - (wt * (m - a) + t * (wb - wa) * a)
    third = (wt * m - wb * b) - ((1 - t) * (wa * (m - a) + (wa * a - wb * b)) + t * wb * (m - b))
    return all(sp.expand(value) == 0 for value in (first, second, third))


def _output() -> bool:
    va, vb, a, b, m, t = sp.symbols("V_A V_B a b m t")
    deviation = ((1 - t) * va + t * vb) * m - (1 - t) * va * a - t * vb * b
    return sp.expand(deviation - ((1 - t) * va * (m - a) + t * vb * (m - b))) == 0


def _concave() -> bool:
    """Compare the least cost at a mean of random Gram matrices with the mean of the costs."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        roots = rng.standard_normal((2, 3, 3))
        a, b = rng.standard_normal((2, 6, 3))
        grams = [root @ root.T for root in roots]
        costs = [distance(a, b, metric=gram).cost for gram in (*grams, sum(grams) / 2)]
        if costs[2] < (costs[0] + costs[1]) / 2 - 1e-12:
            return False
    return True


def _kernels() -> bool:
    """Evaluate the kernels where both units are one: E relu^2 = 1 / 2, and the arc-sine."""
    one = np.array([[1.0, 1.0], [1.0, 1.0]])
    relu = kernels.activation_kernel(one, "relu")
    erf = kernels.activation_kernel(one, "erf")
    return bool(np.allclose(relu, 0.5) and np.allclose(erf, 2 / np.pi * np.arcsin(2 / 3)))


STEPS = (
    Step(
        "Symmetry lemma",
        r"\mathbb E(\mathrm{relu}\, u - \mathrm{relu}\, v)^2 \le \tfrac12\, \mathbb E(u - v)^2 \quad\text{if } (u, v) \sim (-u, -v)",
        "symbolic",
        _symmetry,
        r"""$(\mathrm{relu}\, u - \mathrm{relu}\, v)^2 + (\mathrm{relu}(-u) - \mathrm{relu}(-v))^2$ equals $(u - v)^2$ if the signs agree, and is smaller by $2 |u v|$ if not. Flipping the sign of all weights and biases of layer $l$ in both networks
changes neither their law nor the optimal permutation, and turns every pair of pre-activations below into its negative.""",
    ),
    Step(
        "Pre-activations of A and B",
        r"W_A \varphi_A - \tilde W_B \tilde\varphi_B = (W_A - \tilde W_B)\, \varphi_A + \tilde W_B (\varphi_A - \tilde\varphi_B)",
        "symbolic",
        _add_and_subtract,
        r"""The first term is $\omega_l$ by the choice of the permutation; biases are weights of a constant input. In the second, $\tilde W_B$ is $W_B$ with rows and columns permuted; rows do not change the norm, the columns' permutation and
the vector depend on the layers below alone, and $W_B$ is independent of these: the norm is $s\, e_{l-1}$. Minkowski's inequality and the lemma give $e_l$. The computer checks the three splittings of this and the next step.""",
    ),
    Step(
        "The interpolated network",
        r"""\begin{aligned}
W_t \varphi_M - W_A \varphi_A &= W_t (\varphi_M - \varphi_A) + t\, (\tilde W_B - W_A)\, \varphi_A \\
W_t \varphi_M - \tilde W_B \tilde\varphi_B &= (1-t) \bigl[W_A (\varphi_M - \varphi_A) + (W_A \varphi_A - \tilde W_B \tilde\varphi_B)\bigr] + t\, \tilde W_B (\varphi_M - \tilde\varphi_B)
\end{aligned}""",
        "symbolic",
        _add_and_subtract,
        r"""Matched rows are correlated, so $W_t$ has no simple law; but $|W_t z| \le (1 - t) |W_A z| + t |\tilde W_B z|$, and $z$ depends on the layers below alone: $s |z|$.""",
    ),
    Step(
        "Output",
        r"y_t - (1-t) y_A - t y_B = (1-t) V_A (\varphi_M - \varphi_A) + t\, \tilde V_B (\varphi_M - \tilde\varphi_B)",
        "symbolic",
        _output,
        "$V_A$ and $V_B$ are independent with mean zero, also of all that is below: the squares add.",
    ),
    Step(
        "No curse from the width below",
        r"\mathbb E\, S_2(G) \le S_2(\mathbb E\, G) \le U_2\bigl(\mathrm{eig}\, \mathbb E\, G\bigr)",
        "numeric",
        _concave,
        r"""Given the layers below, the rows of layer $l$ are Gaussian, and in the metric have the non-zero spectrum of the Gram matrix $G = (s^2 \Phi \Phi^\top / m_{l-1} + b^2) / n$ of the activations on the $n$ examples. For given standard normal rows the cost of each permutation is linear in
$G$ and the least of linear functions concave; so is its expectation. The width $m_{l-1}$ has disappeared. The matrices $G$ of $A$ alone define the metric, so that both networks' rows have it.""",
    ),
    Step(
        "The expected Gram matrix",
        r"\mathbb E\, \mathrm{relu}(u)\, \mathrm{relu}(v) = \frac{\sigma_u \sigma_v}{2\pi} \bigl(\sin\theta + (\pi - \theta) \cos\theta\bigr), \qquad \mathbb E\, \mathrm{erf}(u)\, \mathrm{erf}(v) = \frac2\pi \arcsin \frac{2 k_{uv}}{\sqrt{(1 + 2 k_{uu})(1 + 2 k_{vv})}}",
        "numeric",
        _kernels,
        r"""Cho and Saul (2009); Williams (1996). {py:func}`otlmc.kernels.activation_kernel` is tested against quadrature. $\mathbb E\, G$ is the kernel of the layer below exactly for layers 1 and 2; above, the kernel of a random matrix is averaged, which differs from the kernel of its mean by $O(1/m)$: there
the result is a theorem up to that error, and the record says so.""",
    ),
)
