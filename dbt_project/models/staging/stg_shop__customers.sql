select
    cast(customer_id as bigint) as customer_id,
    {{ utc_timestamp('created_at') }} as created_at
from {{ source('shop', 'customers') }}
where {{ is_in_latest_export('shop', 'customers') }}
