"""The stand-in, checked by Stripe's own client: what that takes for Stripe, a load may."""

import pytest
import stripe

from tests.data.fetching.stripe_server import DAY, KEY, StripeServer, stripe_server


def client_of(account: StripeServer, key: str = KEY) -> stripe.StripeClient:
    return stripe.StripeClient(key, base_addresses={"api": account.url}, max_network_retries=2)


def test_stripes_own_client_pages_edits_and_deletes() -> None:
    with stripe_server() as account:
        for number in range(25):
            account.create("customers", email=f"{number}@example.com")
        client = client_of(account)
        customers = client.v1.customers
        listed = list(customers.list({"limit": 10}).auto_paging_iter())
        assert [one.email for one in listed] == [f"{number}@example.com" for number in reversed(range(25))]
        made = customers.create({"email": "new@example.com"})
        assert customers.update(made.id, {"email": "other@example.com"}).email == "other@example.com"
        assert customers.delete(made.id).deleted is True
        with pytest.raises(stripe.InvalidRequestError) as error:
            customers.retrieve(made.id)
        assert (error.value.http_status, error.value.code) == (404, "resource_missing")
        events = list(client.v1.events.list({"limit": 3}).auto_paging_iter())
        assert [event.type.rpartition(".")[2] for event in events[:3]] == ["deleted", "updated", "created"]
        account.now += 31 * DAY
        assert client.v1.events.list().data == []


def test_stripes_own_client_meets_its_errors() -> None:
    with stripe_server() as account:
        account.create("customers")
        account.answers = [(429, {"Retry-After": "1"})]
        with pytest.raises(stripe.RateLimitError):
            client_of(account).v1.customers.list()
        with pytest.raises(stripe.AuthenticationError):
            client_of(account, "rk_of_another").v1.customers.list()
        with pytest.raises(stripe.InvalidRequestError) as error:
            client_of(account).v1.customers.list({"starting_after": "cus_gone"})
        assert error.value.param == "starting_after"
