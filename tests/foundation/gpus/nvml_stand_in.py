"""Builds `nvml_stand_in.c`, which stands in for the NVIDIA driver's library where there is no GPU, and for that alone."""

import subprocess
from pathlib import Path


def built_in(folder: Path) -> Path:
    """The folder, with `libnvidia-ml.so.1` in it: for LD_LIBRARY_PATH of a process."""
    source = Path(__file__).with_name("nvml_stand_in.c")
    library = folder / "libnvidia-ml.so.1"
    subprocess.run(["gcc", "-shared", "-fPIC", "-Wall", "-Werror", "-o", library, source], check=True)
    return folder
