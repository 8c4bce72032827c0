r"""
The kernel of your data, and the width that it asks for
=======================================================

At initialisation the units of a layer are Gaussian on your data, and the kernel of
the layer is their covariance. Its spectrum decides how wide the layers must be: the
faster it falls, the fewer directions there are in which two samples of units can
differ.
"""

import numpy as np

from otlmc import bounds, data, kernels, plotting

inputs = data.load("digits").train_inputs[:300].double().numpy()
inputs /= np.sqrt(np.mean(inputs**2))  # then outputs are of order 1

# %%
# The spectra of the first, second and fourth layer, and the bound on the deviation
# of the output along the path between two networks, as a part of the root mean
# square output.

covariances = kernels.preactivation_covariances(inputs, layers=4)
widths = 2 ** np.arange(4, 21, 2)
networks = {
    f"hidden layers: {depth}": bounds.DeepReLU(
        inputs, hidden_layers=depth, matching="preactivation"
    )
    for depth in (1, 2, 4)
}

with plotting.style():
    figure, (left, right) = plotting.panels(1, 2)
    for name, look in plotting.looks(networks).items():
        depth = networks[name].hidden_layers
        spectrum = kernels.spectrum(covariances[depth - 1])
        line = {"color": look["color"], "linestyle": look["linestyle"]}
        left.loglog(np.arange(1, 301), spectrum, label=f"layer {depth}", **line)
        deviations = [networks[name].deviation(int(m)).value for m in widths]
        right.plot(widths, deviations, label=name, **look)
    left.set(xlabel="index", ylabel="variance", ylim=(1e-6, 2))
    left.set_title("Kernel spectra of 300 digits")
    left.legend()
    right.axhline(0.3, color="0.4", lw=0.8)
    right.set_xscale("log", base=2)
    right.set(
        xlabel="width of every layer", ylabel="deviation / output", ylim=(0, None)
    )
    right.set_title("Bound on the deviation along the path")
    right.legend()

# %%
# The width at which a deviation of 0.3 is guaranteed. The kernels of the third
# layer and above are those of infinite width, so the last line is a prediction, the
# others are theorems.

for name, network in networks.items():
    found = bounds.min_width(network, tolerance=0.3)
    print(f"{name}, width: 2^{found.log2_upper:.1f}")
