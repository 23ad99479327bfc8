"""Google's credentials in a process that has just started: waited for, and never done without.

Belongs here: waiting. Does not belong here: who may do what (`refusal`), and which processes wait (the composition root).

In a new pod the metadata server, which hands out what Workload Identity grants, may answer only after seconds
(https://cloud.google.com/kubernetes-engine/docs/troubleshooting/authentication). Google's libraries give up sooner.
"""

import time
from collections.abc import Callable

from platform_assets.foundation.storage.refusal import StorageRefused

LIMIT_SECONDS = 300.0
TOLD_AFTER_SECONDS = 60.0
PAUSE_SECONDS = 2.0
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"


def await_credentials(
    tell: Callable[[str], object],
    limit: float = LIMIT_SECONDS,
    told_after: float = TOLD_AFTER_SECONDS,
    pause: float = PAUSE_SECONDS,
) -> None:
    """Returns once this process has Application Default Credentials: with a token, where the metadata server gives them.

    Args:
        tell: gets a sentence when it takes long.
        limit, told_after: seconds until it is given up, and until it is told.
        pause: seconds between two tries.

    Raises:
        StorageRefused: there were none within the limit; says why and what to do.
    """
    from google.auth.exceptions import GoogleAuthError

    began, told = time.monotonic(), False
    while True:
        try:
            return _try()
        except GoogleAuthError as error:
            waited, reason = time.monotonic() - began, " ".join(str(error).split())[:300].rstrip(".")
            if waited >= limit:
                raise StorageRefused(
                    f"Google gave this process no credentials within {limit:g} seconds ({reason}). Annotate the pod's service "
                    "account with iam.gke.io/gcp-service-account, bind it (roles/iam.workloadIdentityUser), give its node pool "
                    "--workload-metadata GKE_METADATA, and let the network policy workload-identity admit it; or mount a "
                    "key file that GOOGLE_APPLICATION_CREDENTIALS names."
                ) from error
        if waited >= told_after and not told:
            told = True
            tell(
                f"Google's metadata server has given this process no credentials for {waited:.0f} seconds; it is asked "
                f"again for {limit - waited:.0f} seconds ({reason})."
            )
        time.sleep(pause)


def _try() -> None:
    import google.auth
    from google.auth.compute_engine import Credentials
    from google.auth.transport.requests import Request

    credentials, _ = google.auth.default(scopes=[_SCOPE])
    # Others, such as those of a key file, are there with the file.
    if isinstance(credentials, Credentials):
        credentials.refresh(Request())
