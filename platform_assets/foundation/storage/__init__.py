"""Small whole files in a folder or in a bucket, and locks made of them.

Belongs here: reading and writing files whole, once, or only over the version that was read, and leases. Does not belong
here: what the files mean, tables, and anything that is read in parts.
"""

from platform_assets.foundation.storage.exchange import exchange
from platform_assets.foundation.storage.files import Contended, Digests, Files, Stored
from platform_assets.foundation.storage.folder import flush, only_one
from platform_assets.foundation.storage.lease import Lease, LeaseLost
from platform_assets.foundation.storage.places import files_at
from platform_assets.foundation.storage.refusal import StorageRefused, entries, permitted
