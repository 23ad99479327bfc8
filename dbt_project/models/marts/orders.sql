select order_id, customer_id, ordered_at, quantity, amount
from {{ ref('stg_shop__orders') }}
