"""What an fsync costs on the disk that is measured on."""

import os
import tempfile
import time
from pathlib import Path

from bench.figures import quantile


def fsync(folder: Path, times: int = 60) -> float:
    """Milliseconds, at the median, for 4 KiB appended."""
    costs = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(times):
            file.write(bytes(4096))
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            costs.append((time.perf_counter() - began) * 1000)
    return quantile(costs, 0.5)
