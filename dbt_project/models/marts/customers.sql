select customer_id, created_at
from {{ ref('stg_shop__customers') }}
