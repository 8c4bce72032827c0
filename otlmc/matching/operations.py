"""What is known of the operations of torch: which keep units apart, and on which axes they act."""

from torch import nn
from torch.nn.utils.parametrize import is_parametrized

CONVOLUTIONS = {nn.Conv1d: 1, nn.Conv2d: 2, nn.Conv3d: 3}
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
INSTANCE_NORMS = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)
LAYER_NORMS = (nn.LayerNorm, nn.RMSNorm)
# A softmax mixes entries, but alike for all of them: permuted units give a permuted result.
ENTRYWISE = (
    nn.Identity, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.RReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU,
    nn.SiLU, nn.Mish, nn.Softplus, nn.Softsign, nn.Softshrink, nn.Hardshrink, nn.Tanhshrink,
    nn.Threshold, nn.Tanh, nn.Sigmoid, nn.LogSigmoid, nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid,
    nn.Softmax, nn.Softmin, nn.LogSoftmax, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d,
    nn.AlphaDropout,
)  # fmt: skip
# They act on as many of the last axes as their names end in.
POOLS = (
    nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d,
    nn.LPPool1d, nn.LPPool2d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d,
    nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d, nn.ZeroPad1d, nn.ZeroPad2d,
    nn.ZeroPad3d, nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d, nn.ReflectionPad1d,
    nn.ReflectionPad2d, nn.ReflectionPad3d, nn.ReplicationPad1d, nn.ReplicationPad2d,
    nn.ReplicationPad3d, nn.CircularPad1d, nn.CircularPad2d, nn.CircularPad3d,
)  # fmt: skip


def _names(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


# stochastic_depth is torchvision's: the identity, or noise that all units of a sample share.
ENTRYWISE_NAMES = _names(
    "relu relu_ relu6 leaky_relu leaky_relu_ elu elu_ selu selu_ celu gelu silu mish softplus "
    "softsign softshrink hardshrink tanhshrink threshold tanh tanh_ sigmoid sigmoid_ logsigmoid "
    "hardtanh hardswish hardsigmoid softmax softmin log_softmax dropout dropout1d dropout2d "
    "dropout3d alpha_dropout abs neg exp log log1p expm1 square sqrt rsqrt reciprocal sin cos "
    "clamp clamp_ clip erf contiguous clone detach data float double half bfloat16 to type "
    "stochastic_depth"
)
POOL_NAMES = _names(
    "max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d lp_pool1d lp_pool2d "
    "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d "
    "adaptive_max_pool2d adaptive_max_pool3d"
)
BINARY_NAMES = _names(
    "add sub mul truediv div floordiv floor_divide iadd isub imul itruediv add_ sub_ mul_ div_ pow "
    "maximum minimum expand_as"
)
CONCATENATION_NAMES = _names("cat concat concatenate")
SIZE_NAMES = _names("size dim shape ndim dtype device is_cuda requires_grad")

_UNESSENTIAL = {"extra_repr", "reset_parameters"}
_ESSENTIAL = {"__call__", "__getattr__", "__getattribute__"}


def stock_class(module: nn.Module) -> type | None:
    """Return the class of ``torch.nn`` whose computation a module performs, if it is one.

    A subclass performs it as long as it redefines nothing that takes part in it, and a module with
    computed weights or hooks does not.
    """
    hooked = module._forward_hooks or module._forward_pre_hooks
    if hooked or is_parametrized(module):
        return None
    redefined: set[str] = set()
    for kind in type(module).__mro__:
        if kind.__module__.startswith("torch.nn.modules"):
            inherited = {name for name in redefined if hasattr(kind, name)}
            harmless = {n for n in inherited if n.startswith("__") and n not in _ESSENTIAL}
            return kind if inherited <= harmless | _UNESSENTIAL else None
        redefined |= set(vars(kind))
    return None
