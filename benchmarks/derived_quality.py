"""Derived features against those that people wrote, for the same questions, people and folds.

    python -m benchmarks.derived_quality cdnow --seeds 5
    python -m benchmarks.derived_quality movielens --seeds 5

CDNOW: who buys again within 90 days, of two pairs of dates. MovieLens: who will like a genre within 28 days of their 20th
rating, of nine genres. Prints a table of the AUC of both, out of fold: means of fold seeds, and the standard deviation of their
difference over the seeds. Fails when derived features fall behind by more than the bound. Does not belong here: how long
features take (`benchmarks/derived_speed.py`).
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa

from platform_assets.data.catalog.catalog import Catalog
from platform_assets.data.catalog.column import Role
from platform_assets.data.features.derived.declaration import declared
from platform_assets.data.features.derived.groups import derived_groups
from platform_assets.data.features.group import FeatureGroup
from platform_assets.data.features.point_in_time import finished
from platform_assets.data.features.registry import find_holdings
from platform_assets.data.features.windows import AsOfRows, Events
from platform_assets.environment import REPOSITORY
from samples.datasets import cdnow, movielens_films, movielens_ratings, user_cache

MANIFEST = REPOSITORY / "dbt_project" / "target" / "manifest.json"
INSTANT = pa.timestamp("us", tz="UTC")
ROLES: dict[str, dict[str, Role]] = {
    "orders": {"quantity": "measure", "amount": "measure"},
    "ratings": {"film_id": "identifier", "rating": "measure", "genres": "category", "released": "measure"},
}
PAIRS = ((date(1997, 7, 5), date(1997, 10, 3)), (date(1997, 10, 3), date(1998, 1, 1)))
ASKED = ("Action", "Children's", "Comedy", "Crime", "Drama", "Horror", "Romance", "Sci-Fi", "War")
NTH, HORIZON = 20, timedelta(days=28)
# Derived less written AUC, at least: of each of CDNOW's questions, of the mean of MovieLens', each of which has few people.
BOUNDS = {"cdnow": -0.002, "movielens": -0.005}


@dataclass(frozen=True)
class Question:
    """People as of when, and what came true of them."""

    name: str
    entity: str
    asked: pa.Table
    label: Any


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", choices=("cdnow", "movielens"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--family", default="lightgbm")
    arguments = parser.parse_args()
    catalog = _catalog()
    written = find_holdings(REPOSITORY, Catalog.from_manifest(MANIFEST)).groups
    mart, events, questions = _cdnow() if arguments.data == "cdnow" else _movielens()
    differences: list[float] = []
    print("| question | rows | positive | written | derived | difference | its spread |\n" + "|---" * 7 + "|")
    columns: dict[tuple[str, str], pd.DataFrame] = {}
    for question in questions:
        groups = {
            "written": list(written[question.entity].values()),
            "derived": derived_groups(catalog, question.entity, _declaration(question.entity, events)),
        }
        found = {}
        for which, of in groups.items():
            key = (which, str(question.asked["as_of"].to_pylist()[:1]) + str(question.asked.num_rows))
            if key not in columns:
                columns[key] = _columns(of, catalog, mart, events, question)
            found[which] = _aucs(columns[key], question, arguments.family, arguments.seeds)
        by_seed = found["derived"] - found["written"]
        differences.append(float(by_seed.mean()))
        print(
            f"| {question.name} | {question.asked.num_rows:,} | {question.label.mean():.1%} | {found['written'].mean():.4f} | "
            f"{found['derived'].mean():.4f} | {by_seed.mean():+.4f} | {by_seed.std(ddof=min(1, by_seed.size - 1)):.4f} |",
            flush=True,
        )
    mean, bound = float(np.mean(differences)), BOUNDS[arguments.data]
    print(f"\n{arguments.family}, {arguments.seeds} fold seeds: mean difference {mean:+.4f}, at least {bound}")
    return int((min(differences) if arguments.data == "cdnow" else mean) < bound)


def _catalog() -> Catalog:
    """The repository's, its columns with roles."""
    catalog = Catalog.from_manifest(MANIFEST)
    marts = dict(catalog.marts)
    for name, roles in ROLES.items():
        columns = {c: replace(one, role=roles.get(c)) for c, one in marts[name].columns.items()}
        marts[name] = replace(marts[name], columns=columns)
    return replace(catalog, marts=marts)


def _declaration(entity: str, events: pa.Table) -> Any:
    if entity == "customer":
        return declared(entity)
    genres = sorted({genre for film in events["genres"].to_pylist() for genre in film} - {"unknown"})
    return declared(entity, {"ratings": {"categories": {"genres": {"values": genres}}}})


def _columns(
    groups: list[FeatureGroup], catalog: Catalog, name: str, events: pa.Table, question: Question
) -> pd.DataFrame:
    mart = catalog.mart(name)
    engine = ibis.duckdb.connect()
    engine.raw_sql("set timezone='UTC'; set threads=1")
    spine = AsOfRows(ibis.memtable(question.asked), str(mart.entity_key), None)
    marts = {name: Events(ibis.memtable(events), str(mart.entity_key), str(mart.event_time), mart.arrival_lag)}
    frames = []
    for group in groups:
        if set(group.marts) <= marts.keys():
            built = finished(group.build(marts, spine), str(mart.entity_key), list(group.features))
            frames.append(engine.to_pyarrow(built).to_pandas())
    keys = [str(mart.entity_key), "as_of"]
    joined = frames[0]
    for frame in frames[1:]:
        joined = joined.merge(frame, on=keys, validate="one_to_one")
    asked = question.asked.to_pandas().reset_index(drop=True)
    return asked.merge(joined, on=keys, how="left", validate="one_to_one").drop(columns=keys).astype("float64")


def _aucs(X: pd.DataFrame, question: Question, family: str, seeds: int) -> Any:
    """Out of fold, a number a fold seed."""
    from sklearn.metrics import roc_auc_score

    from platform_assets.learning.families.registry import make_estimator
    from platform_assets.learning.folds import assign_folds

    people = question.asked.column(0).to_numpy()
    y = np.asarray(question.label).astype(int)
    X = X.loc[:, X.notna().any()]
    found = []
    for seed in range(seeds):
        folds, scores = assign_folds(people, 5, seed), np.empty(y.size)
        for fold in range(5):
            train = folds != fold
            model = make_estimator(family, None, seed).fit(X[train], y[train], groups=people[train])
            scores[~train] = model.predict_proba(X[~train])[:, 1]
        found.append(roc_auc_score(y, scores))
    return np.array(found)


def _cdnow() -> tuple[str, pa.Table, Iterator[Question]]:
    orders = cdnow(user_cache())
    orders = orders.append_column("order_id", pa.array(range(orders.num_rows)))
    orders = orders.set_column(1, "ordered_at", orders["ordered_at"].cast(INSTANT))

    def questions() -> Iterator[Question]:
        frame = orders.to_pandas()
        for pair in PAIRS:
            parts = []
            for day in pair:
                at = pd.Timestamp(day, tz="UTC")
                known = frame.loc[frame.ordered_at < at, "customer_id"].drop_duplicates().sort_values()
                later = frame[(frame.ordered_at >= at) & (frame.ordered_at < at + pd.Timedelta(days=90))]
                parts.append(pd.DataFrame({"customer_id": known, "as_of": at, "y": known.isin(later.customer_id)}))
            rows = pd.concat(parts, ignore_index=True)
            schema = pa.schema([("customer_id", pa.int64()), ("as_of", INSTANT)])
            asked = pa.Table.from_pandas(rows[["customer_id", "as_of"]], schema, preserve_index=False)
            yield Question(f"CDNOW {pair[0]} + {pair[1]}", "customer", asked, rows.y.to_numpy())

    return "orders", orders, questions()


def _movielens() -> tuple[str, pa.Table, Iterator[Question]]:
    films = movielens_films(user_cache()).to_pandas()
    ratings = movielens_ratings(user_cache()).to_pandas()
    films["genres"] = films.genres.str.split(" ").map(sorted)
    films["film_id"] = films.film_id.astype("int64")
    films["released"] = pd.to_numeric(films.released, errors="coerce").astype("Int64")
    ratings = ratings.merge(films[["film_id", "genres", "released"]], on="film_id", how="left")
    ratings["at"] = pd.to_datetime(ratings.rated_at, unit="s", utc=True)
    ordered = ratings.sort_values(["viewer_id", "rated_at", "film_id"])
    nth = ordered.groupby("viewer_id").nth(NTH - 1).assign(as_of=lambda t: t["at"] + pd.Timedelta(seconds=1))
    asked_frame = nth[["viewer_id", "as_of"]].sort_values("viewer_id").reset_index(drop=True)
    schema = pa.schema([("viewer_id", pa.int64()), ("as_of", INSTANT)])
    asked = pa.Table.from_pandas(asked_frame, schema, preserve_index=False)
    judged = ratings.merge(asked_frame, on="viewer_id")
    judged = judged[(judged["at"] >= judged.as_of) & (judged["at"] < judged.as_of + pd.Timedelta(HORIZON))]
    table = pa.table(
        {
            "rating_id": pa.array(range(len(ratings))),
            "viewer_id": pa.array(ratings.viewer_id),
            "film_id": pa.array(ratings.film_id),
            "rated_at": pa.array(ratings["at"]).cast(INSTANT),
            "rating": pa.array(ratings.rating),
            "genres": pa.array(ratings.genres.tolist(), pa.list_(pa.string())),
            "released": pa.array(ratings.released.astype("object").where(ratings.released.notna(), None), pa.int64()),
        }
    )

    def questions() -> Iterator[Question]:
        for genre in ASKED:
            liked = (judged.rating >= 4) & judged.genres.map(lambda genres, g=genre: g in genres)
            share = liked.groupby(judged.viewer_id).mean().reindex(asked_frame.viewer_id)
            bar = float(share.median())
            yield Question(f"MovieLens {genre}", "viewer", asked, (share.fillna(-1) > bar).to_numpy())

    return "ratings", table, questions()


if __name__ == "__main__":
    sys.exit(main())
