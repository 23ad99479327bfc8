{#-
  What a service holds, and held, by the loads of it (`type: platform_assets.components.SaasSource`).

  A load shows all objects: those that were listed, or read again because an event named them, and the others as the load
  before had them. What was deleted is in no load after it: lists do not have it, and its event leads to nothing.

  Each macro is a relation with `object_id`, the raw column `Item` for `dynamodb_select` and the macros of dynamodb.sql, and
  `_export_id` and `_exported_at`. left_out: a relation with a column `item_key` (see `dynamodb_key`) of objects that are
  read from no load; without it there are none.
-#}

{#- The objects as of the latest load. -#}
{% macro fetched_objects(source_name, table_name, left_out=none) %}
(
    select {{ dynamodb_string('Item', 'id') }} as object_id, Item, _export_id, _exported_at
    from {{ source(source_name, table_name) }}
    where {{ is_in_latest_export(source_name, table_name) }}
        {{- is_not_left_out(dynamodb_key('Item', ['id']), left_out) }}
)
{%- endmacro %}


{#-
  The objects that were deleted, each as the last load that shows it has it. It was deleted after `_exported_at`, and before
  `gone_by`, when the first load without it was taken. One that was made again under the same id is not among them.
-#}
{% macro fetched_deletions(source_name, table_name, left_out=none) %}
(
    with loads as (
        select export_id, lead(exported_at) over (order by exported_at, export_id) as next_at
        from {{ ref('stg_exports') }}
        where source_name = '{{ source_name }}' and table_name = '{{ table_name }}'
    ),

    last_shown as (
        select {{ dynamodb_string('Item', 'id') }} as object_id, Item, _export_id, _exported_at
        from {{ source(source_name, table_name) }}
        where {{ is_in_loaded_export(source_name, table_name) }}
            {{- is_not_left_out(dynamodb_key('Item', ['id']), left_out) }}
        qualify row_number() over (
            partition by {{ dynamodb_string('Item', 'id') }} order by _exported_at desc, _export_id desc
        ) = 1
    ),

    -- An object of which a row was left out because it is broken is there, whatever it holds.
    broken as (
        select item_key, max(_exported_at) as broken_at
        from {{ dynamodb_quarantined(source_name, table_name, ['id']) }} as rows_left_out
        group by item_key
    )

    select object_id, Item, _export_id, last_shown._exported_at, loads.next_at as gone_by
    from last_shown
    inner join loads on loads.export_id = last_shown._export_id
    left join broken
        on broken.item_key = {{ dynamodb_key('last_shown.Item', ['id']) }} and broken.broken_at > last_shown._exported_at
    where loads.next_at is not null and broken.item_key is null
)
{%- endmacro %}
