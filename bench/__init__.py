"""Benchmarks of fastmnist against its peers, in the same run.

`timing.py` holds the clocks and the table, `machine.py` describes where the figures come from, and
`peers/` holds what a user would pick instead.
"""

import os

from fastmnist.threads import set_up_program

set_up_program()

# A peer must run its best kernel. OpenBLAS reads these once, when NumPy loads it: the first pins the kernels
# of another processor, the second the cache size they are blocked for. Child processes inherit the removal.
for _variable in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(_variable, None)
