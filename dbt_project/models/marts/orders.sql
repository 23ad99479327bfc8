{#-
  insert_overwrite replaces whole days and writes to no other, so those keep BigQuery's long-term price. MERGE by key
  would match each order against the whole built table, and keep orders that the export no longer holds
  (docs.getdbt.com/reference/resource-configs/bigquery-configs#merge-behavior-incremental-models).
-#}
{% call by_changed_days('ordered_at') %}
select order_id, customer_id, ordered_at, quantity, amount
from {{ ref('stg_shop__orders') }}
{% endcall %}
