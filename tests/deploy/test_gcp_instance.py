"""The instance of deploy/gcp/dagster.yaml keeps compute logs in the bucket."""

import shutil
from pathlib import Path

from platform_assets.environment import REPOSITORY
from tests.emulators.clients import Variables, storage_client
from tests.emulators.namespaces import buckets_of
from tests.support.processes import run_python

ASSET = """
import sys
import dagster as dg

@dg.asset
def greeting():
    print("said on stdout")
    print("said on stderr", file=sys.stderr)
"""

# Reads the logs of the only run as the web server does: through the instance, on a machine that never ran it.
READ_BACK = """
import dagster as dg
from dagster._core.storage.compute_log_manager import ComputeIOType

with dg.DagsterInstance.get() as instance:
    [run] = instance.get_runs()
    [log_key] = instance.compute_log_manager.get_log_keys_for_log_key_prefix(
        [run.run_id, "compute_logs"], ComputeIOType.STDOUT
    )
    logs = instance.compute_log_manager.get_log_data(log_key)
    print(logs.stdout.decode(), logs.stderr.decode())
"""


def run(command: list[str], home: Path, variables: Variables, temporary: str) -> str:
    (home / temporary).mkdir()
    here = {
        "DAGSTER_HOME": str(home),
        "DAGSTER_LOGS_BUCKET": buckets_of(variables)[1],
        "DAGSTER_LOGS_PREFIX": "compute_logs",
        # Where the instance stages logs: of its own for each command.
        "TMPDIR": str(home / temporary),
    }
    result = run_python(*command, folder=home, variables=variables | here)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_what_a_step_says_is_read_from_the_bucket_by_a_machine_that_did_not_run_it(
    cloud_variables: Variables, tmp_path: Path
) -> None:
    shutil.copyfile(REPOSITORY / "deploy" / "gcp" / "dagster.yaml", tmp_path / "dagster.yaml")
    (tmp_path / "greeting.py").write_text(ASSET)
    materialize = ["-m", "dagster", "asset", "materialize", "--select", "greeting", "-f", "greeting.py"]
    run(materialize, tmp_path, cloud_variables, "runner")
    blobs = list(storage_client(cloud_variables).list_blobs(buckets_of(cloud_variables)[1]))
    contents = {blob.name.rsplit(".", 1)[-1]: blob.download_as_text() for blob in blobs}
    assert all(blob.name.startswith("compute_logs/storage/") for blob in blobs)
    assert "said on stdout" in contents["out"]
    assert "said on stderr" in contents["err"]
    said = run(["-c", READ_BACK], tmp_path, cloud_variables, "web_server")
    assert "said on stdout" in said
    assert "said on stderr" in said
