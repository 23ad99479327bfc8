{#-
  insert_overwrite replaces whole days and touches no other. MERGE by key would read the whole built table to find each
  order, and could not drop an order that the export no longer holds
  (docs.getdbt.com/reference/resource-configs/bigquery-configs#merge-behavior-incremental-models).
-#}
{% call by_changed_days('ordered_at') %}
select order_id, customer_id, ordered_at, quantity, amount
from {{ ref('stg_shop__orders') }}
{% endcall %}
