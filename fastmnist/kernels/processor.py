"""The processor that kernels are compiled for."""

from numba.core import codegen, config


def has(feature: str) -> bool:
    """Return whether it has a feature, by LLVM's name for it, as far as Numba will tell LLVM.

    NUMBA_CPU_FEATURES says so where it is set, otherwise the processor itself and NUMBA_ENABLE_AVX.
    """
    features = config.CPU_FEATURES
    if features is None:
        features = codegen.get_host_cpu_features()
    return f"+{feature}" in features.split(",")
