"""A metadata server that answers late is waited for; one that never answers is told; nobody asks Google as nobody.

The metadata server here is a test's own, where Google's libraries look for one (GCE_METADATA_HOST, GCE_METADATA_IP). A
process of its own asks it, as they read these once.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess

from tests.support.answering import Reply, Request, answering, json_reply
from tests.support.processes import run_python

ACCOUNT = "audience-platform@a-project.iam.gserviceaccount.com"
WAITS = """
from platform_assets.foundation.storage.credentials import await_credentials
from platform_assets.foundation.storage.refusal import StorageRefused
from platform_assets.data.exports.lake import file_system

def asked(what):
    try:
        return what()
    except StorageRefused as refused:
        return f"refused: {refused}"

print(asked(lambda: await_credentials(print, limit=LIMIT, told_after=0, pause=0.01)))
print(asked(lambda: type(file_system("gs://lake/exports")[0].credentials.credentials).__module__))
"""
STEP = """
import dagster as dg
from platform_assets.foundation.artifacts.io_manager import ArtifactRefIOManager

@dg.asset
def fold(context):
    raise AssertionError("the step's code ran")

kept = {"io_manager": ArtifactRefIOManager(root="refs", credentials_within=LIMIT)}
print(dg.materialize([fold], resources=kept, raise_on_error=False).success)
"""


@dataclass
class MetadataServer:
    """Answers as Google's does, once it has been asked so often in vain; the first answer for the account is a 404."""

    vain: int
    asked: list[str] = field(default_factory=list)

    def reply(self, request: Request) -> Reply | None:
        self.asked.append(request.path)
        if len(self.asked) <= self.vain:
            return None
        place = request.path.partition("?")[0]
        if place.endswith("/token"):
            return self._told({"access_token": "t", "expires_in": 3600, "token_type": "Bearer"})
        if "/service-accounts/" in place:
            known = sum("/service-accounts/" in path for path in self.asked) > 1
            return self._told({"email": ACCOUNT, "scopes": [], "aliases": ["default"]}) if known else Reply(404)
        return Reply(200, b"a-project", {"Metadata-Flavor": "Google", "Content-Type": "application/text"})

    def _told(self, document: object) -> Reply:
        reply = json_reply(200, document)
        return Reply(reply.status, reply.content, {**reply.headers, "Metadata-Flavor": "Google"})


def in_a_pod(server: MetadataServer, limit: float, home: Path, script: str = WAITS) -> CompletedProcess[str]:
    """What becomes of a process that has no credentials but those of the metadata server."""
    with answering(server.reply) as url:
        place = url.removeprefix("http://")
        variables = {
            **{"GCE_METADATA_HOST": place, "GCE_METADATA_IP": place},
            # Google's libraries would wait between their own tries.
            **{"GCE_METADATA_DETECT_RETRIES": "1", "GCE_METADATA_TIMEOUT": "1"},
            **{"GOOGLE_APPLICATION_CREDENTIALS": "", "CLOUDSDK_CONFIG": str(home), "HOME": str(home)},
            **{"STORAGE_EMULATOR_HOST": "", "PATH": str(home)},
        }
        done = run_python("-c", script.replace("LIMIT", str(limit)), variables=variables)
    assert done.returncode == 0, done.stderr
    return done


def test_a_metadata_server_that_answers_late_is_waited_for_and_told_of(tmp_path: Path) -> None:
    server = MetadataServer(vain=3)
    told, waited, kind = in_a_pod(server, 60, tmp_path).stdout.splitlines()
    sentence = (
        r"Google's metadata server has given this process no credentials for (\d+) seconds; "
        r"it is asked again for (\d+) seconds"
    )
    match = re.match(sentence, told)
    assert match, told
    # Each of the two is rounded.
    assert 59 <= int(match[1]) + int(match[2]) <= 61
    assert waited == "None"
    assert kind == "google.auth.compute_engine.credentials"
    assert any(path.endswith("/token") or "/token?" in path for path in server.asked)


def test_a_metadata_server_that_never_answers_is_told_and_nothing_is_asked_as_nobody(tmp_path: Path) -> None:
    *_, waited, lake = in_a_pod(MetadataServer(vain=1_000_000), 0.2, tmp_path).stdout.splitlines()
    assert waited.startswith("refused: Google gave this process no credentials within 0.2 seconds (")
    for remedy in ("iam.gke.io/gcp-service-account", "roles/iam.workloadIdentityUser", "workload-identity"):
        assert remedy in waited
    assert lake.startswith("refused: gs://lake/exports: the storage does not know who asks")
    assert "nobody (no credentials)" in lake


def test_a_step_without_credentials_fails_by_their_sentence_before_its_code(tmp_path: Path) -> None:
    done = in_a_pod(MetadataServer(vain=1_000_000), 0.2, tmp_path, STEP)
    assert done.stdout.splitlines()[-1] == "False"
    assert "Google gave this process no credentials within 0.2 seconds" in done.stderr
    assert "the step's code ran" not in done.stderr
