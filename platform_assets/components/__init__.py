"""The component types that YAML files name: `type: platform_assets.components.Campaign`, `.ExportSource` and
`.SaasSource`.

Belongs here: thin classes that turn a checked specification into Dagster definitions by calling the rooms' `assets.py`.
Does not belong here: what a specification means, or any work.
"""

from platform_assets.components.campaign import Campaign
from platform_assets.components.export_source import ExportSource
from platform_assets.components.saas_source import SaasSource
