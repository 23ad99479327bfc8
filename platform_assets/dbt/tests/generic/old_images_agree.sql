{#-
  Each old image of an incremental export is what the exports before it say of the item: else a change is in no export. A row an
  export that contradicts them, with the number of items. `model` is a staging model of the table; `key` are its attributes.
-#}
{% test old_images_agree(model, source_name, table_name, key) %}
with {{ dynamodb_observed(source_name, table_name, key) }},

compared as (
    select
        *,
        lag(Item) over (partition by segment, item_key order by seen_at, is_change, _exported_at) as known_item,
        -- Exports of new images alone have no old ones to compare.
        max(case when old_item is not null then 1 else 0 end) over (partition by _export_id) as has_old_images
    from observed
)

select _export_id, count(*) as contradictions
from compared
where is_change = 1 and has_old_images = 1
    and {{ canonical_item('old_item') }} is distinct from {{ canonical_item('known_item') }}
group by _export_id
{% endtest %}
