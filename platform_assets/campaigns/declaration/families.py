"""The families that a campaign's models are of, as far as its file alone tells.

Steps are drawn before any data are looked at, so every model that may be tried is listed. Does not belong here: which of
them a training set has a use for (`training.members`).
"""

from platform_assets.campaigns.declaration.spec import CampaignSpec

FAMILY = "family"
# More rows of either class than any member waits for.
MANY = 10**9


def families_of(spec: CampaignSpec) -> dict[str, str]:
    """Member → family of every model that a campaign may try, in the order of its steps."""
    if spec.advanced.models == "auto":
        from platform_assets.learning.portfolio import auto_portfolio

        everything = auto_portfolio(2 * MANY, MANY, tasks=True, body=True, past_scores=("any",))
        return {one.name: one.family for one in everything}
    return {name: str(params.get(FAMILY, name)) for name, params in spec.advanced.models.items()}
