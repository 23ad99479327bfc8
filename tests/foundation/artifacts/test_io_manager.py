"""References between steps arrive from any place, also in a run of the next step alone."""

import dagster as dg
import pytest

from platform_assets.foundation.artifacts import ArtifactRef
from platform_assets.foundation.artifacts.io_manager import ArtifactRefIOManager
from platform_assets.foundation.storage import files_at

REF = ArtifactRef("some/thing", "f" * 64, "c" * 64)
DAYS = dg.StaticPartitionsDefinition(["1998-05-01", "1998-05-02"])


@dg.asset(key=["shop", "made"], partitions_def=DAYS)
def made(context: dg.AssetExecutionContext) -> ArtifactRef:
    return ArtifactRef(f"some/thing of {context.partition_key}", REF.fingerprint, REF.content_hash)


@dg.asset(key=["shop", "used"], partitions_def=DAYS, ins={"made": dg.AssetIn(["shop", "made"])})
def used(context: dg.AssetExecutionContext, made: ArtifactRef) -> ArtifactRef:
    assert made.key == f"some/thing of {context.partition_key}"
    return REF


def materialised(root: str, *selection: dg.AssetsDefinition, raise_on_error: bool = True) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [made, used],
        selection=list(selection),
        resources={"io_manager": ArtifactRefIOManager(root=root)},
        partition_key="1998-05-01",
        raise_on_error=raise_on_error,
    )


def test_a_reference_written_in_one_run_is_read_in_another(root: str) -> None:
    assert materialised(root, made).success
    assert materialised(root, used).success
    assert files_at(root).names() == ["assets/shop/made/1998-05-01.json", "assets/shop/used/1998-05-01.json"]


def test_a_reference_never_written_is_told_with_what_to_do(root: str) -> None:
    result = materialised(root, used, raise_on_error=False)
    [failure] = result.get_step_failure_events()
    told = str(failure.step_failure_data.error)
    assert "shop/made partition 1998-05-01 has not been materialised yet; materialise it first" in told


@pytest.mark.parametrize("content", [b"", b"[]", b'{"key": 1}', b"\xff"])
def test_a_damaged_reference_is_told_by_its_file_and_healed_by_its_step(content: bytes, root: str) -> None:
    assert materialised(root, made).success
    name = "assets/shop/made/1998-05-01.json"
    files_at(root).write(name, content)
    [failure] = materialised(root, used, raise_on_error=False).get_step_failure_events()
    told = f"{root}/{name}, which names the newest shop/made partition 1998-05-01, is damaged; materialise shop/made"
    assert told in str(failure.step_failure_data.error)
    assert materialised(root, made).success
    assert materialised(root, used).success


def test_what_is_no_reference_is_refused(root: str) -> None:
    @dg.asset
    def bulk() -> dict[str, int]:
        return {}

    with pytest.raises(dg.DagsterInvariantViolationError, match="bulk returned dict; steps hand on an ArtifactRef"):
        dg.materialize([bulk], resources={"io_manager": ArtifactRefIOManager(root=root)})
    assert files_at(root).names() == []
