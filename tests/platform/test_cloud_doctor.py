"""`platform-assets doctor` in the cloud: what is missing there, and what to do about it."""

import pytest

from platform_assets.data.engines.bigquery.preparing import DATASETS, prepare
from platform_assets.environment import Environment
from platform_assets.foundation.storage import files_at
from platform_assets.operations.diagnosis import diagnose
from tests.data.engines.in_bigquery import connected


def test_the_doctor_says_which_datasets_are_missing_until_they_are_prepared(cloud_environment: Environment) -> None:
    assert cloud_environment.cloud is not None
    missing = {finding.what: finding.remedy for finding in diagnose(cloud_environment) if not finding.good}
    expected = {f"dataset dev_{purpose}" for purpose in DATASETS}
    assert expected <= set(missing)
    assert {missing[what] for what in expected} == {"run `platform-assets prepare`, which says what it may not do"}

    assert all(made.good for made in prepare(connected(cloud_environment)))
    found = {finding.what: finding for finding in diagnose(cloud_environment)}
    assert all(found[what].good for what in expected)
    for bucket in (cloud_environment.cloud.bucket, f"{cloud_environment.cloud.bucket}-reports"):
        assert found[f"bucket {bucket}"].good
    assert "what people may look at" not in found
    assert found["marts"].remedy == "materialise the job refresh_marts"


def test_an_empty_lake_is_told_with_where_to_put_an_export(cloud_environment: Environment) -> None:
    list(prepare(connected(cloud_environment)))
    found = {finding.what: finding for finding in diagnose(cloud_environment)}
    assert f"{files_at(cloud_environment.exports).location()}/shop" in found["exports of shop"].remedy


@pytest.mark.emulator_only
def test_without_the_bucket_the_doctor_names_it(cloud_environment: Environment) -> None:
    from dataclasses import replace

    assert cloud_environment.cloud is not None
    elsewhere = replace(cloud_environment, cloud=replace(cloud_environment.cloud, bucket="nobody-made-this"))
    list(prepare(connected(cloud_environment)))
    found = {finding.what: finding for finding in diagnose(elsewhere)}
    assert not found["bucket nobody-made-this"].good
    assert not found["bucket nobody-made-this-reports"].good


def test_one_bucket_for_both_is_told_with_what_it_means(cloud_environment: Environment) -> None:
    from dataclasses import replace

    cloud = cloud_environment.cloud
    assert cloud is not None
    list(prepare(connected(cloud_environment)))
    one = replace(cloud_environment, cloud=replace(cloud, reports_bucket=cloud.bucket))
    found = {finding.what: finding for finding in diagnose(one)}
    assert f"lies in gs://{cloud.bucket} among raw exports and audiences" in found["what people may look at"].found
