"""What loading a module may not load."""

import subprocess
import sys
from pathlib import Path

from platform_assets.learning.families.registry import make_estimator
from tests.learning.conftest import make_table

LIGHT = """
    families.registry combine ensemble folds calibration bundle cross_fitting explain event_files selection portfolio
    figures.metrics leaderboard figures.intervals figures.slices data_checks.leaks data_checks.ageing
"""


def loaded_after(*statements: str) -> list[set[str]]:
    """The top-level modules a fresh process has loaded after each of the statements."""
    tell = "print(*{name.split('.')[0] for name in sys.modules})"
    code = "import sys\n" + "".join(f"{statement}\n{tell}\n" for statement in statements)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return [set(line.split()) for line in run.stdout.splitlines()]


def test_registry_alone_loads_nothing_but_names() -> None:
    (loaded,) = loaded_after("import platform_assets.learning.families.registry")
    assert not loaded & {"numpy", "pandas", "sklearn", "torch", "lightgbm"}


def test_torch_and_lightgbm_are_not_loaded_by_imports_by_parameter_names_or_by_a_networks_predictions(
    tmp_path: Path,
) -> None:
    table = make_table(200)
    make_estimator("network", {"max_epochs": 2}).fit(table.X, table.y).save(tmp_path / "network")
    imported, named, predicted = loaded_after(
        "; ".join(f"import platform_assets.learning.{name}" for name in LIGHT.split()),
        "from platform_assets.learning.families.registry import *; [default_parameters(one) for one in FAMILIES]",
        "import numpy, pathlib; from platform_assets.learning.families.networks.network import NetworkClassifier; "
        f"fitted = NetworkClassifier.load(pathlib.Path({str(tmp_path / 'network')!r})); "
        "fitted.positive_probability(numpy.zeros((3, 5)))",
    )
    assert not imported & {"dagster", "duckdb", "ibis", "great_expectations", "matplotlib"}
    for loaded in (imported, named, predicted):
        assert not loaded & {"torch", "lightgbm"}
