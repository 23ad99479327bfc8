"""A bundle comes back to the last bit, from JSON, text and safetensors, or not at all."""

import os
import pickletools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from platform_assets.learning.bundle import Bundle, BundleDamaged, WrongColumns
from platform_assets.learning.calibration import fit_calibrator
from platform_assets.learning.cross_fitting import FoldResult, ModelSettings, fit_fold
from platform_assets.learning.ensemble import fan_in
from tests.learning.conftest import Table
from tests.support.older_code import older_tree

WEIGHTS = {"trees": 0.5, "net": 0.3, "line": 0.2, "unused": 0.0}
FAMILY_OF = {"trees": "lightgbm", "net": "network", "line": "logistic", "unused": "logistic"}


@pytest.fixture(scope="module")
def results(table: Table) -> dict[str, list[FoldResult]]:
    folded, settings = table.folded(2), {name: ModelSettings(family) for name, family in FAMILY_OF.items()}
    return {name: [fit_fold(folded, k, model) for k in range(2)] for name, model in settings.items()}


@pytest.fixture(scope="module")
def bundle(table: Table, results: dict[str, list[FoldResult]]) -> Bundle:
    raw = sum(weight * fan_in(results[name], 2) for name, weight in WEIGHTS.items())
    calibrator, _ = fit_calibrator(raw, table.y, groups=table.groups)
    models = {name: (FAMILY_OF[name], [part.estimator for part in parts]) for name, parts in results.items()}
    return Bundle.of(WEIGHTS, models, calibrator, list(table.X.columns), {"trained": "1998-01-01", "medians": [1.5]})


@pytest.fixture
def saved(bundle: Bundle, tmp_path: Path) -> Path:
    bundle.save(tmp_path / "bundle")
    return tmp_path / "bundle"


def test_a_reloaded_bundle_predicts_the_same_bits(bundle: Bundle, saved: Path, table: Table) -> None:
    loaded = Bundle.load(saved)
    assert (loaded.predict(table.X) == bundle.predict(table.X)).all()
    assert loaded.metadata == bundle.metadata
    assert loaded.feature_names == bundle.feature_names


@pytest.mark.slow
def test_code_of_an_older_commit_predicts_the_same_bits_from_it(
    bundle: Bundle, saved: Path, table: Table, tmp_path: Path
) -> None:
    """A pinned campaign asks the models that others promote, with the code of its own commit."""
    table.X.to_parquet(tmp_path / "rows.parquet")
    program = (
        "import numpy, pandas, pathlib, sys; from platform_assets.learning.bundle import Bundle; "
        "bundle = Bundle.load(pathlib.Path('bundle')); numpy.save('p.npy', bundle.predict(pandas.read_parquet('rows.parquet')))"
    )
    environment = os.environ | {"PYTHONPATH": str(older_tree(tmp_path / "older"))}
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, check=True)
    assert (np.load(tmp_path / "p.npy") == bundle.predict(table.X)).all()


def test_saving_what_was_loaded_gives_the_same_content(bundle: Bundle, saved: Path, tmp_path: Path) -> None:
    Bundle.load(saved).save(tmp_path / "again")
    kept = {path.relative_to(saved): path.read_bytes() for path in saved.rglob("*") if path.is_file()}
    again = [path for path in (tmp_path / "again").rglob("*") if path.is_file()]
    assert {path.relative_to(tmp_path / "again"): path.read_bytes() for path in again} == kept


def test_a_prediction_is_the_calibrated_weighted_mean_of_fold_models(
    bundle: Bundle, results: dict[str, list[FoldResult]], table: Table
) -> None:
    raw = sum(
        weight * np.mean([part.estimator.predict_proba(table.X)[:, 1] for part in results[name]], axis=0)
        for name, weight in WEIGHTS.items()
    )
    assert bundle.calibrator is not None
    assert bundle.predict(table.X) == pytest.approx(bundle.calibrator.predict(raw), abs=1e-12)


def test_a_frame_and_an_arrow_table_predict_alike(bundle: Bundle, table: Table) -> None:
    expected = bundle.predict(table.X)
    arrow = pa.Table.from_pandas(table.X, preserve_index=False)
    assert arrow["spent"].null_count > 0
    assert (bundle.predict(arrow) == expected).all()
    assert (bundle.predict(arrow.to_batches()[0]) == expected).all()
    assert (bundle.predict(table.X.iloc[5:9]) == expected[5:9]).all()
    assert bundle.predict(table.X.iloc[:0]).shape == (0,)


def test_no_file_of_a_bundle_is_a_pickle_and_unweighted_members_are_left_out(saved: Path) -> None:
    files = [path for path in saved.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".json", ".txt", ".safetensors"}
    assert len(files) == 1 + 2 * (2 + 2 + 1)
    for path in files:
        content = path.read_bytes()
        assert not content.startswith((b"\x80", b"PK"))
        with pytest.raises((ValueError, KeyError, IndexError, UnicodeDecodeError)):
            list(pickletools.genops(content))
    sources = Path(__file__).parents[2] / "platform_assets" / "learning"
    for path in sources.glob("*.py"):
        text = path.read_text()
        assert not any(word in text for word in ("import pickle", "joblib", "torch.load", "torch.save")), path.name


def test_missing_extra_and_reordered_columns_are_refused_by_name(bundle: Bundle, table: Table) -> None:
    with pytest.raises(WrongColumns, match="missing recency"):
        bundle.predict(table.X.drop(columns="recency"))
    with pytest.raises(WrongColumns, match="not expected tenure"):
        bundle.predict(table.X.assign(tenure=1.0))
    with pytest.raises(WrongColumns, match='position 0 is "recency" and should be "orders"'):
        bundle.predict(table.X[["recency", "orders", "spent", "n0", "n1"]])
    with pytest.raises(WrongColumns, match="position 1"):
        bundle.predict(pd.concat([table.X.iloc[:, :1], table.X], axis=1))
    with pytest.raises(ValueError, match="Columns spent hold infinities"):
        bundle.predict(table.X.assign(spent=np.inf))


@pytest.mark.parametrize("name", ["booster.txt", "weights.safetensors", "estimator.json"])
def test_a_model_that_is_absent_or_cut_short_is_refused_by_its_folder(saved: Path, name: str) -> None:
    path = next(saved.rglob(name))
    refused = r"members/\d/\d holds no \w+ model that can be read .*train or restore the model again"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    with pytest.raises(BundleDamaged, match=refused):
        Bundle.load(saved)
    path.unlink()
    with pytest.raises(BundleDamaged, match=refused):
        Bundle.load(saved)


def test_a_folder_without_a_bundles_description_is_refused(saved: Path) -> None:
    described = saved / "bundle.json"
    text = described.read_text()
    described.write_text(text.replace('"format": 1', '"format": 2'))
    with pytest.raises(BundleDamaged, match="has format 2; this version reads format 1"):
        Bundle.load(saved)
    for content in (text[:100], "{}", "[]", text.replace('"feature_names"', '"names"')):
        described.write_text(content)
        with pytest.raises(BundleDamaged, match="not a bundle's description"):
            Bundle.load(saved)
    described.unlink()
    with pytest.raises(BundleDamaged, match="holds no bundle"):
        Bundle.load(saved)


def test_saving_is_all_or_nothing(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: object, folder: Path) -> None:
        folder.mkdir(parents=True)
        raise OSError("no space left")

    monkeypatch.setattr(type(bundle.members[-1].models[0]), "save", broken)
    with pytest.raises(OSError, match="no space left"):
        bundle.save(tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_not_overwritten_and_an_empty_one_is_filled(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    bundle.save(tmp_path / "empty")
    with pytest.raises(FileExistsError, match="is not empty"):
        bundle.save(tmp_path / "empty")


def test_weights_without_models_and_foreign_columns_are_refused(
    results: dict[str, list[FoldResult]], table: Table
) -> None:
    names = list(table.X.columns)
    with pytest.raises(ValueError, match="one of them above zero"):
        Bundle.of({"a": 0.0}, {}, None, names)
    with pytest.raises(ValueError, match=r'"a" weighs 1\.0 but has no fold models'):
        Bundle.of({"a": 1.0}, {}, None, names)
    with pytest.raises(WrongColumns, match="missing other"):
        Bundle.of({"a": 1.0}, {"a": ("lightgbm", [results["trees"][0].estimator])}, None, [*names[:-1], "other"])
