select
    cast(order_id as bigint) as order_id,
    cast(customer_id as bigint) as customer_id,
    {{ utc_timestamp('ordered_at') }} as ordered_at,
    cast(quantity as bigint) as quantity,
    {{ decimal_of('amount') }} as amount
from {{ source('shop', 'orders') }}
where {{ is_in_latest_export('shop', 'orders') }}
