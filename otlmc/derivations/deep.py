"""Deep networks at initialisation: the recursion over layers, for both matchings."""

import math

import numpy as np
import sympy as sp

from otlmc import kernels
from otlmc.bounds.gram import GramFluctuation
from otlmc.derivations.step import Step
from otlmc.wasserstein import distance

TITLE = "Deep networks"
STATEMENT = r"""
Two independent networks with Gaussian weights of standard deviation $s / \sqrt{m_{l-1}}$, Gaussian biases of standard deviation $b$ and $L$ hidden layers are aligned from the input upwards, each layer by the permutation that brings closest
*(covariance)* its rows of (weights, bias) in the metric of the second moments of $(\varphi_A^{l-1}, 1)$, or *(pre-activation)* its pre-activations $z_A^l$ and $\tilde z_B^l$ on the data. Norms are root mean squares over neurons, data and weights. Let
$p_l = |z_A^l - \tilde z_B^l|$, $e_l = |\varphi_A^l - \tilde\varphi_B^l|$, and for the network $M_t$ on the path $\Gamma_l = (1 - t)\, |\varphi_{M}^l - \varphi_A^l|^2 + t\, |\varphi_{M}^l - \tilde\varphi_B^l|^2$. Let $\kappa = 1/\sqrt2$ for ReLU and the Lipschitz constant of the activation else,
$\omega_l^2 = S_2(m_l)$ for centred Gaussian neurons with the expected Gram matrix of layer $l$ as covariance, and all errors zero at the input. Then

$$
e_l \le \kappa\, p_l, \qquad \Gamma_l \le \kappa^2 \bigl( s^2\, \Gamma_{l-1} + t (1 - t)\, p_l^2 \bigr), \qquad
p_l^2 \le \begin{cases} \omega_l^2 + \sqrt2\, \omega_l\, s\, e_{l-1} + s^2 e_{l-1}^2 & \text{covariance} \\ \omega_l^2 + \beta_l^2 & \text{pre-activation} \end{cases}
$$

with $\beta_l$ the expected Bures distance (in root mean square) of the Gram matrices of $A$ and $B$, $\beta_1 = 0$ and

$$
\beta_l \le \min\Bigl\{ s\, e_{l-1},\; \bigl(2 \textstyle\sum_i \min\{\lambda_i, v_i / m_{l-1}\}\bigr)^{1/2} + s \kappa\, \beta_{l-1} \Bigr\}
$$

with $\lambda_i, u_i$ the eigenpairs of the expected Gram matrix and $v_i = m_{l-1}\, \mathbb E\, |(G - \mathbb E\, G)\, u_i|^2 / \lambda_i$. The output, with weights of standard deviation $s_{\mathrm{out}} / \sqrt{m_L}$, deviates from the straight line by at most
$s_{\mathrm{out}} \sqrt{\max(t, 1 - t)\, \Gamma_L}$ in root mean square; at every $t$ its square is at most $\tfrac{4}{27}\, s_{\mathrm{out}}^2 \sum_l \kappa^2 (s \kappa)^{2 (L - l)}\, p_l^2$.
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


def _path() -> bool:
    """Check the parallelogram law at any t, and the splitting of the interpolated layer."""
    a, b, m, t = sp.symbols("z_A z_B z_M t", real=True)  # scalars stand for the vectors
    mean = (1 - t) * a + t * b
    law = (1 - t) * (m - a) ** 2 + t * (m - b) ** 2 - (m - mean) ** 2 - t * (1 - t) * (a - b) ** 2
    wa, wb, ca, cb, x, y, z = sp.symbols("W_A W_B c_A c_B phi_A phi_B phi_M")
    layer = ((1 - t) * wa + t * wb) * z + (1 - t) * ca + t * cb
    middle = (1 - t) * (wa * x + ca) + t * (wb * y + cb)
    split = layer - middle - (1 - t) * wa * (z - x) - t * wb * (z - y)
    return sp.expand(law) == 0 and sp.expand(split) == 0


def _output() -> bool:
    va, vb, a, b, m, t = sp.symbols("V_A V_B a b m t")
    deviation = ((1 - t) * va + t * vb) * m - (1 - t) * va * a - t * vb * b
    return sp.expand(deviation - ((1 - t) * va * (m - a) + t * vb * (m - b))) == 0


def _largest() -> bool:
    """Maximise t (1 - t) max(t, 1 - t): by symmetry t^2 (1 - t) on [1/2, 1]."""
    t = sp.Symbol("t")
    return sp.maximum(t**2 * (1 - t), t, sp.Interval(sp.Rational(1, 2), 1)) == sp.Rational(4, 27)


def _swap() -> bool:
    """Check in symbols: the square of b_A - b_B plus epsilon, with D between the two."""
    d, a, e = sp.symbols("D phi_A epsilon")  # one direction: D = 1 - C is diagonal
    # E (w_A - w_B)^2 = 2 D, E (w_A - w_B) w_B = -D, E w_B^2 = 1 for z_A - z_B = (w_A-w_B) a + w_B e
    return sp.expand(2 * d * a**2 + 2 * (-d) * a * e + e**2 - (2 * d * a * (a - e) + e**2)) == 0


def _matched_moments() -> bool:
    """Sample matched rows: C = E[w_A w_B^T] is diagonal between 0 and 1 in the metric's basis."""
    rng = np.random.default_rng(1)
    metric = np.diag([2.0, 0.5, 0.1])
    products = []
    for _ in range(400):
        a, b = rng.standard_normal((2, 16, 3))
        b = b[distance(a, b, metric=metric).permutation]
        products.append(a.T @ b / 16)
    mean, error = np.mean(products, axis=0), np.std(products, axis=0) / math.sqrt(400)
    off = ~np.eye(3, dtype=bool)
    diagonal = np.diag(mean)
    return bool(
        (np.abs(mean) <= 5 * error)[off].all() and (diagonal > 0).all() and diagonal.max() < 1
    )


def _geodesic() -> bool:
    """Check the splitting of a matched pair about the middle of the geodesic."""
    z, w, s = sp.symbols("z z' S", real=True)
    pair = ((1 - s) * z - (1 + s) * w) ** 2
    split = (z - w) ** 2 - 2 * s * (z - w) * (z + w) + s**2 * (z + w) ** 2
    return sp.expand(pair - split) == 0


def _pythagoras() -> bool:
    """Match samples of two Gaussian laws: the cost stays below S_2 of the mean plus Bures."""
    rng = np.random.default_rng(2)
    k, other = np.diag([1.0, 0.3]), np.array([[0.8, 0.4], [0.4, 0.9]])
    roots = [np.linalg.cholesky(c) for c in (k, other, (k + other) / 2)]
    bures = float(np.trace(k + other) - 2 * np.sqrt(np.linalg.eigvals(k @ other).real).sum())
    between, within = [], []
    for _ in range(200):
        x, y = rng.standard_normal((2, 32, 2))
        between.append(distance(x @ roots[0].T, y @ roots[1].T).cost)
        within.append(distance(x @ roots[2].T, y @ roots[2].T).cost)
    slack = 5 * math.hypot(np.std(between), np.std(within)) / math.sqrt(200)
    return bool(np.mean(between) <= np.mean(within) + bures + slack)


def _sylvester() -> bool:
    x, y = sp.symbols("X Y", commutative=False)
    return sp.expand(x * (x - y) + (x - y) * y - (x**2 - y**2)) == 0


def _roots() -> bool:
    """Compare the roots of random Gram matrices of ReLU units with the bound."""
    rng = np.random.default_rng(3)
    below = np.array([[1.0, 0.5, 0.2], [0.5, 1.0, 0.4], [0.2, 0.4, 1.0]])
    bound = GramFluctuation.of_layer(below, weight_std=1.0, bias_std=0.0, activation="relu")
    for width in (2, 8, 64):
        z = rng.multivariate_normal(np.zeros(3), below, size=(400, 2, width))
        phi = np.maximum(z, 0) / math.sqrt(3 * width)
        values, vectors = np.linalg.eigh(np.swapaxes(phi, -1, -2) @ phi)
        scaled = vectors * np.sqrt(np.maximum(values, 0))[..., None, :]
        roots = scaled @ np.swapaxes(vectors, -1, -2)
        squares = np.square(roots[:, 0] - roots[:, 1]).sum((-1, -2))
        if squares.mean() > bound.distance(width) ** 2 + 5 * squares.std() / 20:
            return False
    return True


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
changes neither their law nor the permutation of either matching, and turns every pair of pre-activations of $A$, $\tilde B$ and $M_t$ into its negative. So $e_l \le \kappa\, p_l$. (A matching of the *activations* changes under the flip: for it the lemma fails.)""",
    ),
    Step(
        "The interpolated network",
        r"""\begin{aligned}
(1-t)\, |z_M - z_A|^2 + t\, |z_M - \tilde z_B|^2 &= |z_M - \bar z_t|^2 + t (1-t)\, |z_A - \tilde z_B|^2, \qquad \bar z_t = (1-t)\, z_A + t\, \tilde z_B \\
z_M - \bar z_t &= (1-t)\, W_A (\varphi_M - \varphi_A) + t\, \tilde W_B (\varphi_M - \tilde\varphi_B)
\end{aligned}""",
        "symbolic",
        _path,
        r"""Biases cancel in the second line. The differences of activations depend on the layers below alone; so do the permuted columns of $\tilde W_B$, and its permuted rows leave the norm as it is: $|W_A (\varphi_M - \varphi_A)| = s\, |\varphi_M - \varphi_A|$, for $B$ alike. By convexity of the square
$|z_M - \bar z_t|^2 \le s^2\, \Gamma_{l-1}$, and the symmetry lemma for both pairs gives $\Gamma_l$. The layers' contributions add as *squares*; nothing was used of the matching but its symmetry.""",
    ),
    Step(
        "Output",
        r"y_t - (1-t) y_A - t y_B = (1-t) V_A (\varphi_M - \varphi_A) + t\, \tilde V_B (\varphi_M - \tilde\varphi_B)",
        "symbolic",
        _output,
        r"""$V_A$ and $V_B$ are independent with mean zero, also of all that is below: the mean square is $s_{\mathrm{out}}^2 \bigl[(1-t)^2 |\varphi_M - \varphi_A|^2 + t^2 |\varphi_M - \tilde\varphi_B|^2\bigr] \le s_{\mathrm{out}}^2 \max(t, 1-t)\, \Gamma_L$.""",
    ),
    Step(
        "Along the path",
        r"\max_{0 \le t \le 1} t (1 - t) \max(t, 1 - t) = \tfrac{4}{27}",
        "symbolic",
        _largest,
        r"Unrolled, $\Gamma_L \le t (1-t) \sum_l \kappa^2 (s \kappa)^{2 (L-l)} p_l^2$. At $t = \tfrac12$ the factor is $\tfrac18$. So it is at every $t$ if $L = 1$: there $|z_M - z_A| = t\, p_1$ and $|z_M - \tilde z_B| = (1-t)\, p_1$, and $2 t^2 (1-t)^2 \le \tfrac18$.",
    ),
    Step(
        "Matched rows (covariance)",
        r"C = \mathbb E\, w_A w_B^\top \text{ is diagonal in the eigenbasis of } \Sigma, \qquad 0 \preceq C \preceq I",
        "numeric",
        _matched_moments,
        r"""Scale inputs so that the rows $w$ are standard normal, $\Sigma$ the second moment of the scaled $(\varphi_A, 1)$, and fix the layers below. Reflecting an eigendirection of $\Sigma$ in both samples changes neither law nor matching: off-diagonal entries vanish. Reflecting it in $B$ alone keeps the law of the largest $\sum \langle w_A, w_B \rangle_\Sigma$, while
the old permutation, still allowed, loses $2 \lambda_i C_{ii}$ in expectation: $C_{ii} \ge 0$ (where $\lambda_i = 0$ the matching does not see the direction and $C_{ii} = 0$). $C_{ii} \le 1$ is Cauchy and Schwarz.""",
    ),
    Step(
        "Pre-activations (covariance)",
        r"p_l^2 = \omega^2 - 2\, \mathbb E\, \varphi_A^\top D\, \varepsilon + |\varepsilon|^2, \qquad D = I - C, \quad \varepsilon = \varphi_A - \tilde\varphi_B",
        "symbolic",
        _swap,
        r"""From $z_A - \tilde z_B = (w_A - w_B) \varphi_A + w_B\, \varepsilon$, with $\omega^2 = 2\, \mathbb E\, \varphi_A^\top D \varphi_A$ and the scaled $|\varepsilon| = s\, e_{l-1}$. As $0 \preceq D \preceq I$, the middle term is at most $2 \cdot (\omega / \sqrt2) \cdot s\, e_{l-1}$. The metric belongs to $A$ alone: $B$'s activations are met by a matching that was not made for them.""",
    ),
    Step(
        "Pre-activations: the middle of the geodesic",
        r"|(I - S) z - (I + S) z'|^2 = |z - z'|^2 - 2 \langle z - z', S (z + z') \rangle + |S (z + z')|^2",
        "symbolic",
        _geodesic,
        r"""Given the layers below, the pre-activations of a unit on the $n$ examples are $\mathcal N(0, G_A)$ and $\mathcal N(0, G_B)$. Let $\mathcal N(0, \bar G)$ be the middle of the Wasserstein geodesic between them: with $T$ the optimal linear map and $S = (T - I)(T + I)^{-1}$, symmetric, $(I - S) z$ and $(I + S) z$ have the two laws when $z$ has the middle one
(singular matrices are limits), and their mean squared distance is $4\, \mathbb E |S z|^2 = d^2(G_A, G_B)$. Write the units of $A$ as $(I - S) z_i$, those of $B$ as $(I + S) z'_i$, and match the $z_i$ with the $z'_i$ optimally; the best matching of the units is no worse. The first term becomes $S_2(\bar G)$.""",
    ),
    Step(
        "Squares add (pre-activation)",
        r"p_l^2 \le \mathbb E\, S_2(\bar G) + \mathbb E\, d^2(G_A, G_B) \le \omega_l^2 + \beta_l^2",
        "numeric",
        _pythagoras,
        r"""$(z, z')$ and $(z', z)$ have one law, so $\mathbb E\, \langle z - z', S (z + z') \rangle = \mathbb E \langle z, S z \rangle - \mathbb E \langle z', S z' \rangle + \mathbb E \langle z, S z' \rangle - \mathbb E \langle z', S z \rangle = 0$, and $\mathbb E |S (z + z')|^2 \le 4\, \mathbb E |S z|^2$. The middle of two coupled vectors has a second moment $\bar G \preceq (G_A + G_B) / 2$, and $S_2$ is monotone and concave in the
matrix (the step "No curse from the width below"): $\mathbb E\, S_2(\bar G) \le S_2(\mathbb E\, G)$.""",
    ),
    Step(
        "Bures distance of the Gram matrices",
        r"X (X - Y) + (X - Y) Y = X^2 - Y^2",
        "symbolic",
        _sylvester,
        r"""First, $w \mapsto (\Phi_A w, \tilde\Phi_B w)$ couples the two laws: $d(G_A, G_B) \le s\, e_{l-1}$ in root mean square. Second, let $G, G'$ be two independent Gram matrices over layers below with one covariance, $K$ their mean. $d(G, G') \le |\sqrt G - \sqrt{G'}|$ in Frobenius norm, and $\mathbb E |\sqrt G - \sqrt{G'}|^2 = 2\, \mathbb E |\sqrt G - \mathbb E \sqrt G|^2$ is summed over the
eigenvectors $u_i$ of $K$. Each summand is at most $\mathbb E |\sqrt G u_i|^2 = \lambda_i$, and at most $\mathbb E |(\sqrt G - \sqrt K) u_i|^2$. With $X = \sqrt K$, $Y = \sqrt G$ and $v$ an eigenvector of $Y$, the identity reads $(x_i + y)\, \langle u_i, (X - Y) v \rangle = \langle u_i, (K - G) v \rangle$: that is at most $\mathbb E |(K - G) u_i|^2 / \lambda_i = v_i / m$.""",
    ),
    Step(
        "The sum over eigenvectors",
        r"\mathbb E\, |\sqrt G - \sqrt{G'}|^2 \le 2 \sum_i \min\{\lambda_i, v_i / m\}",
        "numeric",
        _roots,
        r"""If the covariances below differ, couple $B$'s pre-activations with a sample from $A$'s law: $d(G_A, G_B) \le d(G_A, G_{A'}) + d(G_{A'}, G_B)$, and the second is at most $s \kappa\, \beta_{l-1}$ by the contraction of coupled units. $v_i$ has a closed form ({py:func}`otlmc.kernels.fourth_moment`, tested against simulation).""",
    ),
    Step(
        "No curse from the width below",
        r"\mathbb E\, S_2(G) \le S_2(\mathbb E\, G) \le U_2\bigl(\mathrm{eig}\, \mathbb E\, G\bigr)",
        "numeric",
        _concave,
        r"""Given the layers below, the rows of layer $l$ are Gaussian, and in the metric have the non-zero spectrum of the Gram matrix $G = (s^2 \Phi \Phi^\top / m_{l-1} + b^2) / n$ of the activations on the $n$ examples. For given standard normal rows the cost of each permutation is linear in
$G$ and grows with it, and the least of such functions is concave and grows; so is its expectation. The width $m_{l-1}$ has disappeared.""",
    ),
    Step(
        "The expected Gram matrix",
        r"\mathbb E\, \mathrm{relu}(u)\, \mathrm{relu}(v) = \frac{\sigma_u \sigma_v}{2\pi} \bigl(\sin\theta + (\pi - \theta) \cos\theta\bigr), \qquad \mathbb E\, \mathrm{erf}(u)\, \mathrm{erf}(v) = \frac2\pi \arcsin \frac{2 k_{uv}}{\sqrt{(1 + 2 k_{uu})(1 + 2 k_{vv})}}",
        "numeric",
        _kernels,
        r"""Cho and Saul (2009); Williams (1996). {py:func}`otlmc.kernels.activation_kernel` is tested against quadrature. $\mathbb E\, G$ and the $v_i$ are those of the kernel of the layer below exactly for layers 1 and 2; above, the kernel of a random matrix is averaged, which differs from the kernel of its mean by $O(1/m)$: there
the result is a theorem up to that error, and the record says so.""",
    ),
)
