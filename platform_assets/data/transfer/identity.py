"""Whom AWS takes this process for: a role that it assumes with a token of Google's, so that there is no key to keep.

Belongs here: exchanging tokens. Does not belong here: what is asked for with them (`origin`).

Google's metadata server, or a key file of a service account, gives a token that says who asks. AWS STS gives for it
credentials of an hour, which stay in memory and are asked for again before they end. The role's trust policy names
accounts.google.com, the service account's unique id as `sub`, and AUDIENCE as `oaud`
(https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_oidc.html).
"""

from functools import cache
from typing import Any

from platform_assets.foundation.storage import StorageRefused

AUDIENCE = "sts.amazonaws.com"
SESSION = "platform-assets"
# S3 itself tells a client that asks the wrong region; STS answers everywhere.
REGION = "us-east-1"


def aws_session(role: str | None) -> Any:
    """A session of boto3's: as `role` by Google's token and in no other way, or, where None, as AWS's own chain finds it.

    Raises:
        StorageRefused: boto3 is not installed.
    """
    try:
        import boto3
    except ModuleNotFoundError as error:
        raise StorageRefused(
            "A source is `from` S3, and boto3, which reads there, is not installed: pip install 'platform-assets[aws]'."
        ) from error
    from botocore.credentials import (
        AssumeRoleWithWebIdentityCredentialFetcher,
        CredentialProvider,
        CredentialResolver,
        DeferredRefreshableCredentials,
    )
    from botocore.session import Session

    session = Session()
    session.register_component("data_loader", _loader())
    if session.get_config_variable("region") is None:
        session.set_config_variable("region", REGION)
    if role is None:
        return boto3.Session(botocore_session=session)

    class GoogleToken(CredentialProvider):
        METHOD = "google-web-identity"

        def load(self) -> Any:
            fetcher = AssumeRoleWithWebIdentityCredentialFetcher(
                client_creator=session.create_client,
                web_identity_token_loader=_google_token,
                role_arn=role,
                extra_args={"RoleSessionName": SESSION},
            )
            return DeferredRefreshableCredentials(method=self.METHOD, refresh_using=fetcher.fetch_credentials)

    session.register_component("credential_provider", CredentialResolver([GoogleToken()]))
    return boto3.Session(botocore_session=session)


@cache
def _loader() -> Any:
    """boto3's descriptions of AWS, read once a process and not at each look of a sensor."""
    from botocore.loaders import create_loader

    return create_loader()


def _google_token() -> str:
    from google.auth.transport.requests import Request
    from google.oauth2.id_token import fetch_id_token

    token: str = fetch_id_token(Request(), AUDIENCE)
    return token
