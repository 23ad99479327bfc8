"""The face of feature groups: a failed audit is a red check and no materialisation, and whoever starts alone
is refused.
"""

from collections.abc import Callable
from datetime import date

import dagster as dg
import pytest

from platform_assets.data.catalog.business_day import instant_of
from platform_assets.data.catalog.pointer import MartStore
from platform_assets.data.engines.duckdb.reading import DuckDBWarehouse
from platform_assets.data.features.assets import feature_assets
from platform_assets.data.features.spine import Spine
from platform_assets.data.features.tables import feature_group_table
from platform_assets.data.quality import Verdicts
from platform_assets.data.quality.assets import require_verdict
from platform_assets.environment import Environment, local_environment
from platform_assets.foundation.artifacts import ArtifactRef, ArtifactStore
from platform_assets.foundation.artifacts.io_manager import ArtifactRefIOManager
from tests.data.features.conftest import CATALOG, GROUPS, ORDERS, Platform, order
from tests.support.processes import run_python

DAILY = dg.DailyPartitionsDefinition(start_date="1997-06-01", end_date="1999-01-01")
DAY = "1997-09-09"
KEY = dg.AssetKey(["features", "customer", "order_windows"])
MADE = f'key:"{KEY.to_user_string()}"'
Run = Callable[..., dg.ExecuteInProcessResult]
WINDOWS = {"customer": {"order_windows": GROUPS["customer"]["order_windows"]}}
BAD = [*ORDERS, order(50, 2, 99, amount="-40")]


class AuditedRefs(ArtifactRefIOManager):
    """References, loaded only when the last audit of their asset did not refuse them."""

    verdicts: str

    def load_input(self, context: dg.InputContext) -> ArtifactRef:
        ref = super().load_input(context)
        table, slot = "/".join(context.asset_key.path), context.asset_partition_key
        require_verdict(Verdicts(self.verdicts), table, slot, ref.fingerprint)
        return ref


@pytest.fixture
def environment(platform: Platform) -> Environment:
    return local_environment(platform.folder)


@pytest.fixture
def instance() -> dg.DagsterInstance:
    return dg.DagsterInstance.ephemeral()


def downstream(environment: Environment) -> list[dg.AssetsDefinition]:
    """One asset that loads the reference, one that asks for the table by itself."""

    @dg.asset(partitions_def=DAILY, ins={"features": dg.AssetIn(KEY)})
    def by_reference(features: ArtifactRef) -> ArtifactRef:
        return features

    @dg.asset(partitions_def=DAILY, deps=[KEY])
    def by_function(context: dg.AssetExecutionContext) -> ArtifactRef:
        entity = CATALOG.entities["customer"]
        spine = Spine.of_population(entity, instant_of(date.fromisoformat(context.partition_key), entity.timezone))
        warehouse = DuckDBWarehouse(CATALOG, MartStore(environment.marts))
        group = GROUPS["customer"]["order_windows"]
        return feature_group_table(group, spine, warehouse, ArtifactStore(str(environment.artifacts))).ref

    return [by_reference, by_function]


@pytest.fixture
def run(environment: Environment, instance: dg.DagsterInstance) -> Run:
    """Materialises what is selected, for one date, on the same instance each time."""
    refs = AuditedRefs(root=str(environment.refs), verdicts=str(environment.verdicts))

    def materialize(select: str, day: str = DAY) -> dg.ExecuteInProcessResult:
        return dg.materialize(
            [*feature_assets(environment, CATALOG, DAILY, WINDOWS), *downstream(environment)],
            selection=select,
            partition_key=day,
            instance=instance,
            resources={"io_manager": refs},
            raise_on_error=False,
        )

    return materialize


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    (event,) = [e for e in result.all_events if e.is_step_failure]
    error = event.step_failure_data.user_failure_data
    return (error.description if error else None) or str(event.step_failure_data.error)


def test_a_partition_is_made_once_and_carries_its_content_hash(run: Run) -> None:
    results = [run(MADE) for _ in range(2)]
    assert all(result.success for result in results)
    events = [result.asset_materializations_for_node("features__customer__order_windows")[0] for result in results]
    assert [event.metadata["cache"].value for event in events] == ["miss", "hit"]
    assert events[0].metadata["dagster/row_count"].value == 3
    assert events[0].metadata["audit_warnings"].value == 0
    assert events[0].tags is not None
    assert events[0].tags["dagster/data_version"] == events[0].metadata["content_hash"].value
    assert all(evaluation.passed for result in results for evaluation in result.get_asset_check_evaluations())


def test_after_a_failed_audit_a_downstream_asset_started_alone_is_refused(platform: Platform, run: Run) -> None:
    assert run("*").success

    platform.publish(orders=BAD)
    failed = run(MADE)
    (check,) = failed.get_asset_check_evaluations()
    assert (failed.success, check.passed, check.severity) == (False, False, dg.AssetCheckSeverity.ERROR)
    assert check.blocking
    assert check.metadata["audit_critical_failures"].value == 4
    assert not failed.asset_materializations_for_node("features__customer__order_windows")

    by_reference = run("by_reference")
    assert not by_reference.success
    assert f"order_windows at {DAY} must not be read: its audit failed" in failure_of(by_reference)
    by_function = run("by_function")
    assert not by_function.success
    assert "order_windows: audit failed on 4 of" in failure_of(by_function)

    platform.publish(orders=ORDERS)
    assert not run("by_reference").success
    assert run(MADE).success
    assert run("by_reference").success


def test_another_date_is_not_refused_with_it(platform: Platform, environment: Environment, run: Run) -> None:
    assert run("*", "1997-08-01").success
    platform.publish(orders=BAD)
    assert not run(MADE).success
    assert run("by_reference", "1997-08-01").success
    verdict = Verdicts(environment.verdicts).last("features/customer/order_windows", "1997-08-01")
    assert verdict is not None
    assert verdict.state == "passed"


def test_a_date_the_exports_do_not_cover_is_refused_with_both_instants(run: Run) -> None:
    result = run(MADE, "1998-07-02")
    assert not result.success
    assert "1998-07-02T00:00:00+00:00" in failure_of(result)
    assert "1998-07-01T00:00:00+00:00" in failure_of(result)


def test_a_partition_stands_for_midnight_in_the_entitys_time_zone(
    environment: Environment, instance: dg.DagsterInstance
) -> None:
    groups = {"viewer": {"rating_windows": GROUPS["viewer"]["rating_windows"]}}
    result = dg.materialize(
        feature_assets(environment, CATALOG, DAILY, groups), partition_key=DAY, instance=instance,
        resources={"io_manager": ArtifactRefIOManager(root=str(environment.refs))},
    )  # fmt: skip
    (event,) = result.asset_materializations_for_node("features__viewer__rating_windows")
    assert event.metadata["as_of"].value == "1997-09-09T04:00:00+00:00"


def test_every_group_is_an_asset_with_a_blocking_audit_after_its_marts(environment: Environment) -> None:
    assets = feature_assets(environment, CATALOG, DAILY, GROUPS)
    assert {a.key.to_user_string() for a in assets} == {g.key for groups in GROUPS.values() for g in groups.values()}
    for asset in assets:
        (check,) = asset.check_specs
        assert check.blocking
        assert check.name == "audit"
        assert set(asset.dependency_keys) <= {
            dg.AssetKey(["marts", "orders"]),
            dg.AssetKey(["marts", "ratings"]),
        }
        assert asset.group_names_by_key[asset.key] == "features"


def test_definitions_load_nothing_heavy() -> None:
    heavy = "('ibis', 'duckdb', 'pandas', 'pyarrow', 'great_expectations', 'numpy')"
    loaded = f"','.join(m for m in {heavy} if m in sys.modules)"
    code = f"import sys, platform_assets.data.features.assets; sys.exit({loaded} or None)"
    found = run_python("-c", code)
    assert (found.returncode, found.stderr) == (0, "")
