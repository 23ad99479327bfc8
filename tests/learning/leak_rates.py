"""How often the leak rules speak on tables that have none, and on tables in which one was planted.

    python -m tests.learning.leak_rates [CDNOW_master.txt]

prints, for simulated tables and, given the file, for tables of real orders (every month as a date, three horizons):
the share of clean tables with a warning or refusal by each rule, and the share of planted leaks that were named, in
tables of a date or two and in tables of three.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from platform_assets.learning.data_checks.leaks import ID, SURVIVOR, SUSPICIOUS, TARGET, Finding, find_leaks

CleanTable = tuple[pd.DataFrame, np.ndarray, np.ndarray]
Planted = Callable[[CleanTable, np.random.Generator], CleanTable]
PLANT = "planted"
# Seeds of the clean tables of three dates that were measured.
OVER_TIME = range(20_000, 20_300)


def simulated(seed: int) -> CleanTable:
    """A clean table as campaigns have them: counts over windows, amounts, recency, flags, noise, gaps; 600 to 6,000
    rows, one or two dates; positives from 2 % to 50 %. In a quarter of the tables one column drives everything, in
    another quarter effects are not linear.
    """
    generator = np.random.default_rng(seed)
    people, dates = int(generator.integers(300, 3000)), int(generator.integers(1, 3))
    groups = np.tile(np.arange(people) * 7 + 1000, dates if people > 600 else 2)
    n = len(groups)
    activity = generator.gamma(1.0, 1.0, n)
    columns: dict[str, np.ndarray] = {}
    for days in (7, 28, 90, 365):
        columns[f"orders_{days}d"] = generator.poisson(activity * days / 60)
    columns["orders_all"] = np.sum([columns[f"orders_{days}d"] for days in (28, 90, 365)], axis=0)
    columns["days_since_last"] = np.where(
        columns["orders_all"] == 0, np.nan, np.round(generator.exponential(40 / (activity + 0.2)))
    )
    columns["tenure"] = generator.integers(1, 900, n)
    columns["amount"] = np.round(np.exp(generator.normal(3, 1, n)) * columns["orders_365d"], 2)
    columns["cents"] = np.round(np.exp(generator.normal(9, 1.5, n)))
    columns["mean_amount"] = np.where(generator.random(n) < 0.2, np.nan, np.exp(generator.normal(3, 1, n)))
    columns["newsletter"] = (generator.random(n) < 0.3).astype(float)
    for i in range(int(generator.integers(2, 10))):
        columns[f"noise_{i}"] = generator.normal(size=n)
    X = pd.DataFrame(columns).astype(float)
    standard = X.rank().apply(lambda column: (column - column.mean()) / (column.std() or 1.0)).fillna(0.0).to_numpy()
    kind = generator.integers(0, 4)
    effects = generator.normal(size=X.shape[1]) * (generator.random(X.shape[1]) < 0.5) * generator.uniform(0.2, 1.2)
    if kind == 0:
        effects *= 0.15
        effects[generator.integers(0, X.shape[1])] = generator.choice([-1, 1]) * generator.uniform(0.5, 2.5)
    signal = standard @ effects
    if kind == 1:
        first, second = generator.integers(0, X.shape[1], 2)
        signal = signal + generator.uniform(0.5, 2) * standard[:, first] * standard[:, second] - standard[:, first] ** 2
    rate = np.exp(generator.uniform(np.log(0.02), np.log(0.5)))
    shift = np.quantile(-signal, rate)
    y = (generator.random(n) < 1 / (1 + np.exp(-(signal + shift)))).astype(int)
    y[:20] = [0, 1] * 10
    return X, y, groups


def simulated_over_time(seed: int) -> CleanTable:
    """A clean table of the same 150 to 1,200 people as of three dates, a horizon apart: they order at a pace of their own
    until they leave for good, and whoever did not order between two dates keeps what is counted over all time.

    Positive: an order within the horizon (in a third of the tables, none); positives from 2 % to 60 %.
    """
    generator = np.random.default_rng(seed)
    people, horizon = int(generator.integers(150, 1200)), 90.0
    dates = 540.0 + horizon * np.arange(3)
    joined = generator.uniform(0, 530, people)
    pace = generator.gamma(generator.uniform(1, 8), 1.0, people) * generator.uniform(0.5, 6) / 360
    stays = generator.exponential(generator.uniform(100, 3000), people)
    silent = generator.random() < 1 / 3
    orders = [
        np.cumsum(np.append(0.0, generator.exponential(1 / pace[n], int(pace[n] * 1000) + 20))) + joined[n]
        for n in range(people)
    ]
    orders = [times[times <= joined[n] + stays[n]] for n, times in enumerate(orders)]
    paid = [np.round(np.exp(generator.normal(3, 1, len(times))), 2) for times in orders]
    fixed = {"first_basket": [round(100 * each[0]) for each in paid], "joined_day": np.floor(joined)}
    fixed |= {"age": generator.integers(18, 80, people), "distance": np.round(generator.gamma(2, 3, people), 1)}
    parts, labels = [], []
    for now in dates:
        known = [times < now for times in orders]
        sums = [each[seen] for each, seen in zip(paid, known, strict=True)]
        last = np.asarray([times[seen][-1] for times, seen in zip(orders, known, strict=True)])
        columns: dict[str, npt.ArrayLike] = {
            "orders_all": [len(each) for each in sums],
            "amount_all": [round(each.sum(), 2) for each in sums],
            "mean_amount": [each.mean() for each in sums],
            "largest": [each.max() for each in sums],
            "seconds_between": [np.ptp(times[seen]) for times, seen in zip(orders, known, strict=True)],
            "days_since_last": np.round(now - last),
            "tenure": np.round(now - joined),
        }
        for days in (28, 90, 365):
            columns[f"orders_{days}d"] = [int(((times >= now - days) & (times < now)).sum()) for times in orders]
        parts.append(pd.DataFrame(columns | fixed | {"noise": generator.normal(size=people)}))
        comes = np.asarray([((times >= now) & (times < now + horizon)).any() for times in orders])
        labels.append(comes != silent)
    X, y, groups = pd.concat(parts, ignore_index=True), np.concatenate(labels), np.tile(np.arange(people) * 7, 3)
    if not 0.02 <= y.mean() <= 0.6:
        return simulated_over_time(seed + 1_000_000)
    return X.astype(float), y.astype(int), groups


def a_copy_with_errors(table: CleanTable, generator: np.random.Generator) -> CleanTable:
    """The label, wrong in one row of a hundred."""
    X, y, groups = table
    wrong = generator.random(len(y)) < 0.01
    return X.assign(**{PLANT: np.where(wrong, 1 - y, y).astype(float)}), y, groups


def the_label_in_other_words(table: CleanTable, generator: np.random.Generator) -> CleanTable:
    """A status of six values, three for each label."""
    X, y, groups = table
    return X.assign(**{PLANT: (generator.integers(0, 3, len(y)) * 2 + y).astype(float)}), y, groups


def a_count_that_goes_on_after_the_date(table: CleanTable, generator: np.random.Generator) -> CleanTable:
    """Events before the date and, for positives, at least one after it, counted together."""
    X, y, groups = table
    after = y * (1 + generator.poisson(1.0, len(y)))
    return X.assign(**{PLANT: generator.poisson(0.3, len(y)) + after.astype(float)}), y, groups


def a_number_for_each_person(table: CleanTable, generator: np.random.Generator) -> CleanTable:
    """Another key of the entity, in another order."""
    X, y, groups = table
    codes, people = pd.factorize(groups)
    return X.assign(**{PLANT: generator.permutation(len(people))[codes] * 13.0 + 5}), y, groups


def people_kept_for_coming_back(table: CleanTable, generator: np.random.Generator) -> CleanTable:
    """Whoever has few events before the date was kept only if more came later: MovieLens' twenty ratings."""
    X, y, groups = table
    count = generator.geometric(1 / 60, len(y)).astype(float)
    kept = (count >= 20) | (y == 1)
    return X[kept].assign(**{PLANT: count[kept]}).reset_index(drop=True), y[kept], groups[kept]


PLANTS: dict[Planted, tuple[str, ...]] = {
    a_copy_with_errors: (SUSPICIOUS, SURVIVOR),
    the_label_in_other_words: (TARGET,),
    a_count_that_goes_on_after_the_date: (SUSPICIOUS, SURVIVOR),
    a_number_for_each_person: (ID,),
    people_kept_for_coming_back: (SURVIVOR,),
}


def found_in(table: CleanTable) -> list[Finding]:
    X, y, groups = table
    return find_leaks(X, y, groups, list(X.columns), "person_id")


def alarms(tables: Iterator[CleanTable]) -> tuple[int, Counter[str]]:
    """How many tables, and how many of them each rule spoke on (`any`: at least one)."""
    count, spoke = 0, Counter[str]()
    for table in tables:
        count += 1
        rules = {finding.rule for finding in found_in(table)}
        spoke.update(rules | ({"any"} if rules else set()))
    return count, spoke


def refusals(tables: Iterator[CleanTable]) -> dict[int, list[str]]:
    """What was refused in clean tables: number of the table → columns, with the rule."""
    spoke = {
        number: [f"{each.column}: {each.rule}" for each in found_in(table) if each.severity == "refuse"]
        for number, table in enumerate(tables)
    }
    return {number: columns for number, columns in spoke.items() if columns}


def named(plant: Planted, tables: int, clean: Callable[[int], CleanTable] = simulated) -> int:
    """How many of `tables` leaks planted in clean tables were named by a rule that should."""
    total = 0
    for seed in range(tables):
        planted = plant(clean(10_000 + seed), np.random.default_rng(seed))
        total += any(f.column == PLANT and f.rule in PLANTS[plant] for f in found_in(planted))
    return total


def real(path: str) -> Iterator[CleanTable]:
    """Purchase propensity as of each month, 30, 60 and 90 days ahead, from a file of orders; keys are the customers'
    numbers."""
    orders = pd.read_csv(path, sep=r"\s+", header=None, skiprows=1, names=["customer", "day", "quantity", "dollars"])
    orders["day"] = pd.to_datetime(orders["day"].astype(str))
    for date in pd.date_range("1997-03-01", "1998-04-01", freq="MS"):
        before = orders[orders["day"] < date]
        people = before.groupby("customer")
        X = pd.DataFrame(
            {"recency": (date - people["day"].max()).dt.days, "tenure": (date - people["day"].min()).dt.days}
        )
        X["orders"], X["dollars"], X["largest"] = people.size(), people["dollars"].sum(), people["dollars"].max()
        X["span"], X["mean"] = X["tenure"] - X["recency"], X["dollars"] / X["orders"]
        for days in (7, 28, 90):
            recent = before[before["day"] >= date - pd.Timedelta(days=days)].groupby("customer")
            X[f"orders_{days}d"] = recent.size().reindex(X.index, fill_value=0)
            X[f"dollars_{days}d"] = recent["dollars"].sum().reindex(X.index, fill_value=0)
        for horizon in (30, 60, 90):
            after = orders[(orders["day"] >= date) & (orders["day"] < date + pd.Timedelta(days=horizon))]
            y = X.index.isin(after["customer"]).astype(int)
            yield X.astype(float).reset_index(drop=True), y, X.index.to_numpy()


def main() -> None:
    count, spoke = alarms(simulated(seed) for seed in range(5000, 5300))
    print(f"clean, simulated: {count} tables; with a finding: {dict(spoke)}")
    over_time = [simulated_over_time(seed) for seed in OVER_TIME]
    print(f"clean, three dates: {len(over_time)} tables; refused: {refusals(iter(over_time))}")
    for plant in PLANTS:
        print(f"{plant.__name__}: {named(plant, 60)} of 60 named, {named(plant, 60, simulated_over_time)} over time")
    for path in sys.argv[1:]:
        count, spoke = alarms(real(path))
        print(f"clean, {path}: {count} tables; with a finding: {dict(spoke)}")


if __name__ == "__main__":
    main()
