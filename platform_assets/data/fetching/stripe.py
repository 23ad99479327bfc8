"""Asking Stripe's API: pages of a list, one object, events; each answer whole and exact, or an error that says what to do.

dlt's client sends, repeats and pages. Answers are read from their text: numbers keep all of their digits.
Belongs here: the API's parameters, what an answer must look like, and errors in words. Does not belong here: what is asked for
in which order, and keeping it. https://docs.stripe.com/api
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any, NoReturn
from urllib.parse import quote

from pydantic import SecretStr

from platform_assets.data.fetching.refused import FetchRefused
from platform_assets.data.fetching.spec import Kind, SaasSourceSpec
from platform_assets.environment import secret_in

# The most that the API gives at once.
PAGE = 100
_ATTEMPTS = 8
_TIMEOUT_SECONDS = 80
# What a list leaves out unless it is asked for.
_ALSO = {"subscriptions": {"status": "all"}}


class CursorGone(Exception):
    """The object that a list was to be continued after is no longer there."""


@dataclass(frozen=True)
class Page:
    """Part of a list.

    Attributes:
        at: when it was answered, by the server's clock.
    """

    objects: list[dict[str, Any]]
    at: datetime


class Stripe:
    """An account, as its API shows it."""

    def __init__(self, spec: SaasSourceSpec) -> None:
        self._spec = spec

    def pages(self, kind: str, after: str | None = None, since: datetime | None = None) -> Iterator[Page]:
        """The objects of a kind, or `events`, newest first; after one of them, and not from before an instant.

        Raises:
            CursorGone: there is no object `after`.
            FetchRefused: the API does not answer, or not so.
        """
        from requests import RequestException

        asked: dict[str, Any] = {"limit": PAGE, **_ALSO.get(kind, {})}
        if after is not None:
            asked["starting_after"] = after
        if since is not None:
            asked["created[gte]"] = int(since.timestamp())
        where, last = f"/v1/{kind}", after
        try:
            for answer in self._client.paginate(where, params=asked, hooks={"response": [_require_success]}, **_SENT):
                page, more = self._page(where, answer.response)
                if page.objects and page.objects[-1]["id"] == last:
                    self._refuse(where, "it answers with the page before once more")
                last = page.objects[-1]["id"] if page.objects else last
                yield page
                if more and not page.objects:
                    self._refuse(where, "a page without objects says that there are more")
        except RequestException as error:
            if _error_of(error).get("param") == "starting_after":
                raise CursorGone from None
            self._explain(where, error)

    def one(self, kind: Kind, name: str) -> dict[str, Any] | None:
        """An object as it is now; None when there is none, or it was deleted.

        Raises:
            FetchRefused: the API does not answer, or not so.
        """
        from requests import RequestException

        # An id is not told: that of a coupon may be anything.
        where = f"/v1/{kind}/…"
        try:
            response = self._client.get(
                f"/v1/{kind}/{quote(name, safe='')}", hooks={"response": [_require_success]}, **_SENT
            )
        except RequestException as error:
            if _status_of(error) == 404 and _error_of(error).get("code") == "resource_missing":
                return None
            self._explain(where, error)
        document = self._document(where, response)
        if document.get("deleted") is True:
            return None
        if document.get("id") != name:
            self._refuse(where, "the answer is not the object that was asked for")
        return document

    @cached_property
    def _client(self) -> Any:
        try:
            from dlt.common.configuration.specs.runtime_configuration import RuntimeConfiguration
            from dlt.sources.helpers.requests.retry import Client
            from dlt.sources.helpers.rest_client import RESTClient
            from dlt.sources.helpers.rest_client.auth import BearerTokenAuth
            from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator
        except ImportError as error:
            raise FetchRefused(
                "A source is fetched, and dlt, which asks its service, is not installed: pip install 'platform-assets[saas]'."
            ) from error

        return RESTClient(
            base_url=self._spec.url,
            headers={"Stripe-Version": self._spec.api_version},
            auth=BearerTokenAuth(token=key_of(self._spec).get_secret_value()),
            paginator=JSONResponseCursorPaginator(
                cursor_path="data[-1].id", cursor_param="starting_after", has_more_path="has_more"
            ),
            data_selector="data",
            session=Client(
                request_timeout=_TIMEOUT_SECONDS, raise_for_status=False, request_max_attempts=_ATTEMPTS
            ).session,
            # Else it looks for files of its own.
            config=RuntimeConfiguration(),
        )

    def _page(self, where: str, response: Any) -> tuple[Page, bool]:
        document = self._document(where, response)
        objects, more = document.get("data"), document.get("has_more")
        if document.get("object") != "list" or not isinstance(objects, list) or not isinstance(more, bool):
            self._refuse(where, "the answer is no list with data and has_more")
        for one in objects:
            if not isinstance(one, dict) or not isinstance(one.get("id"), str) or not one["id"]:
                self._refuse(where, "an object in the list has no id")
        try:
            at = parsedate_to_datetime(response.headers["Date"]).astimezone(UTC)
        except (KeyError, TypeError, ValueError):
            self._refuse(where, "the answer has no Date by which its time could be told")
        return Page(objects, at), more

    def _document(self, where: str, response: Any) -> dict[str, Any]:
        try:
            document = json.loads(response.content, parse_float=Decimal, parse_constant=_not_json)
        except (ValueError, RecursionError):
            self._refuse(where, "the answer is not readable JSON")
        if not isinstance(document, dict):
            self._refuse(where, "the answer is not a JSON object")
        return document

    def _refuse(self, where: str, what: str) -> NoReturn:
        raise FetchRefused(
            f"{self._spec.url}{where}: {what}. Nothing of this load is an export; what was fetched before it stays. See whether "
            f"api_version {self._spec.api_version} is one that the platform was tried with."
        )

    def _explain(self, where: str, error: Exception) -> NoReturn:
        """The API's refusal or silence in words; its own message may quote what was sent, and is not passed on."""
        status, code = _status_of(error), _error_of(error).get("code") or _error_of(error).get("type")
        at = f"{self._spec.url}{where}"
        if status in (401, 403):
            place = self._spec.key_file or self._spec.variable
            raise FetchRefused(
                f"{at}: the API refuses the key in {place} ({status}). Give it a restricted key that may read "
                f"{', '.join(sorted(table.name for table in self._spec.tables))} and events."
            ) from None
        if status is None or status == 429 or status >= 500:
            said = f"{status}" if status else type(error).__name__
            raise FetchRefused(
                f"{at}: no answer after {_ATTEMPTS} attempts ({said}). Run the load again: it goes on where it stopped.",
                passes=True,
            ) from None
        shown = f", {code}" if isinstance(code, str) and code.isidentifier() else ""
        raise FetchRefused(
            f"{at}: the API refuses the request ({status}{shown}). Correct api_version or tables in the source's defs.yaml."
        ) from None


# A redirection would take the key elsewhere.
_SENT = {"allow_redirects": False}


def key_of(spec: SaasSourceSpec) -> SecretStr:
    """The API key, from where the declaration says that it is.

    Raises:
        FetchRefused: it is not there.
    """
    if spec.variable is not None:
        text, place = secret_in(spec.variable), spec.variable
    else:
        assert spec.key_file is not None
        place = str(spec.key_file)
        try:
            text = spec.key_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            text = None
    if not text:
        raise FetchRefused(f"{place}: holds no API key. Put a restricted, read-only key there.")
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise FetchRefused(f"{place}: what it holds is no API key: one line of letters, digits and _.")
    return SecretStr(text)


def _require_success(response: Any, *args: Any, **kwargs: Any) -> None:
    from requests import HTTPError

    if response.status_code != 200:
        raise HTTPError(str(response.status_code), response=response)


def _status_of(error: Exception) -> int | None:
    response = getattr(error, "response", None)
    return None if response is None else int(response.status_code)


def _error_of(error: Exception) -> dict[str, Any]:
    response = getattr(error, "response", None)
    try:
        document = json.loads(response.content) if response is not None else None
    except ValueError:
        return {}
    said = document.get("error") if isinstance(document, dict) else None
    return said if isinstance(said, dict) else {}


def _not_json(constant: str) -> NoReturn:
    raise ValueError(constant)
