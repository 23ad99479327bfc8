{#-
  A select of typed columns out of DynamoDB's JSON in one pass over each item: DuckDB parses an item once for all of its
  paths. Staging models that `platform-assets source add` writes call it; dynamodb.sql has a macro for each value by itself.

  relation: with the raw column `Item`. keep: columns of it that are passed on.
  columns: a list of {name, path, tags, type}. `path` is a list of map attributes, outermost first. `tags` are the DynamoDB
  types to read (S, N, BOOL; SS or NS; L); of several, an item has one. `type` is one of
  text, integer, decimal, boolean, date, instant (ISO 8601), epoch_seconds, epoch_milliseconds, texts.
  An attribute that is absent, or NULL, or of another type, reads as null (texts: as empty); that types change is told by the
  checks of its raw table. A number that its type cannot hold exactly stops the build, as does a list (`L`) of texts with an element
  that is none and not NULL.
-#}
{% macro dynamodb_select(relation, columns, where, keep=[]) %}
    {%- set values = [] -%}
    {%- for column in columns -%}
        {%- for tag in column.tags -%}
            {%- do values.append({'path': dynamodb_path(column.path, tag), 'tag': tag, 'name': column.name}) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- set place = namespace(number=0) %}
select
    {%- for column in columns %}
        {%- set read = [] -%}
        {%- for tag in column.tags -%}
            {%- set place.number = place.number + 1 -%}
            {%- do read.append(dynamodb_value(place.number, tag, column.name)) -%}
        {%- endfor -%}
        {%- set value = read[0] if read | length == 1 else 'coalesce(' ~ read | join(', ') ~ ')' %}
    {{ typed_text(value, column.type, column.name) }} as {{ column.name }}
        {%- if not loop.last or keep %},{% endif %}
    {%- endfor %}
    {%- for name in keep %}
    {{ name }}{% if not loop.last %},{% endif %}
    {%- endfor %}
from (
    {{ dynamodb_values(relation, values, where, keep) }}
) as items
{%- endmacro %}


{#- The values at some paths of each item: one list (DuckDB), or a column each (BigQuery). -#}
{% macro dynamodb_values(relation, values, where, keep) %}
    {{- return(adapter.dispatch('dynamodb_values')(relation, values, where, keep)) -}}
{% endmacro %}

{% macro duckdb__dynamodb_values(relation, values, where, keep) %}
    select
        json_extract_string(Item, [
            {%- for value in values %}
            '{{ value.path }}'{% if not loop.last %},{% endif %}
            {%- endfor %}
        ]) as item_values
        {%- for name in keep %},
        {{ name }}
        {%- endfor %}
    from {{ relation }}
    where {{ where }}
{%- endmacro %}

{% macro bigquery__dynamodb_values(relation, values, where, keep) %}
    select
        {%- for value in values %}
        {%- if value.tag in ('SS', 'NS') %}
        {{ sorted_array(dynamodb_texts('Item', value.path)) }} as value_{{ loop.index }}
        {%- elif value.tag == 'L' %}
        array(
            select case when json_value(element, '$.S') is null then {{ no_text(value.name) }} else json_value(element, '$.S') end
            from unnest(json_query_array(Item, '{{ value.path }}')) as element with offset as place
            where json_value(element, '$.NULL') is null
            order by place
        ) as value_{{ loop.index }}
        {%- else %}
        {{ dynamodb_scalar('Item', value.path) }} as value_{{ loop.index }}
        {%- endif %}
        {%- if not loop.last or keep %},{% endif %}
        {%- endfor %}
        {%- for name in keep %}
        {{ name }}{% if not loop.last %},{% endif %}
        {%- endfor %}
    from {{ relation }}
    where {{ where }}
{%- endmacro %}


{#- The n-th of those values: text, or an array of texts. -#}
{% macro dynamodb_value(number, tag, attribute) %}{{ return(adapter.dispatch('dynamodb_value')(number, tag, attribute)) }}{% endmacro %}

{% macro duckdb__dynamodb_value(number, tag, attribute) %}
    {%- set value = 'item_values[' ~ number ~ ']' -%}
    {%- if tag in ('SS', 'NS') -%}
        list_sort(coalesce(cast(cast({{ value }} as json) as varchar[]), []))
    {%- elif tag == 'L' -%}
        coalesce(list_transform(
            list_filter(from_json({{ value }}, '[{"S":"VARCHAR","NULL":"BOOLEAN"}]'), lambda element: element."NULL" is null),
            lambda element: case when element.S is null then {{ no_text(attribute) }} else element.S end
        ), [])
    {%- else -%}
        {{ value }}
    {%- endif -%}
{% endmacro %}

{% macro bigquery__dynamodb_value(number, tag, attribute) %}value_{{ number }}{% endmacro %}

{% macro no_text(attribute) -%}
    cast(error('{{ attribute_named(attribute) }} holds a list with an element that is no text; read it with dynamodb_list') as {{ dbt.type_string() }})
{%- endmacro %}


{#- Text as a column's type; `attribute` is named when a number does not fit. -#}
{% macro typed_text(text, type, attribute) %}
    {%- if type in ('text', 'texts') -%}
        {{ text }}
    {%- elif type == 'integer' -%}
        {{ exact_integer(text, attribute) }}
    {%- elif type == 'decimal' -%}
        {{ exact_decimal(text, attribute) }}
    {%- elif type in ('boolean', 'date') -%}
        cast({{ text }} as {{ type }})
    {%- elif type == 'instant' -%}
        cast({{ text }} as {{ timestamp_type() }})
    {%- elif type == 'epoch_seconds' -%}
        {{ timestamp_from_epoch(exact_integer(text, attribute)) }}
    {%- elif type == 'epoch_milliseconds' -%}
        {{ timestamp_from_epoch_milliseconds(exact_integer(text, attribute)) }}
    {%- else -%}
        {{ exceptions.raise_compiler_error("dynamodb_select: there is no type " ~ type ~ " (attribute " ~ attribute ~ ")") }}
    {%- endif -%}
{% endmacro %}
