{#-
  Which exports of a DynamoDB table tell together what it held: a full one, and windows of changes that follow it without gap
  and overlap. `platform_assets.data.exports.chain` picks the same; a test holds the two to each other.

  Raw tables: `<table>` holds full exports, `<table>__changes` incremental ones.
-#}

{#-
  The links of a table, oldest segment first: a list of {base, at, windows, next_at}; `windows` are their ids, `at` and
  `next_at` the instants (microseconds since 1970) of its full export and of that of the next segment, none after the last.
  Looked up when a model is made, so that BigQuery skips what is no link; empty while dbt parses.
-#}
{% macro dynamodb_chain(source_name, table_name) %}
    {#- While dbt parses, it learns from this that the record of exports comes first. -#}
    {%- set query = dynamodb_exports(source_name, table_name) -%}
    {%- if not execute -%}{{ return([]) }}{%- endif -%}
    {%- set exports = [] -%}
    {%- for row in run_query(query).rows -%}
        {%- do exports.append({
            'id': row['export_id'],
            'at': row['at'] | int,
            'start': none if row['window_start'] is none else row['window_start'] | int,
            'table': row['table_id'],
        }) -%}
    {%- endfor -%}
    {{ return(segments_of(exports)) }}
{% endmacro %}

{% macro dynamodb_exports(source_name, table_name) %}
    {{- return(adapter.dispatch('dynamodb_exports')(source_name, table_name)) -}}
{% endmacro %}

{% macro default__dynamodb_exports(source_name, table_name) %}
select
    exports.export_id,
    {{ micros_of_timestamp('exports.exported_at') }} as at,
    {{ micros_of_timestamp('links.window_start') }} as window_start,
    links.table_id
from {{ ref('stg_exports') }} as exports
left join {{ export_links() }} as links
    on links.source_name = exports.source_name
    and links.table_name = exports.table_name
    and links.export_id = exports.export_id
where exports.source_name = '{{ source_name }}'
    and exports.table_name in ('{{ table_name }}', '{{ table_name }}__changes')
{% endmacro %}

{#- A relation (source_name, table_name, export_id, window_start, table_id), a row an export of which that was recorded. -#}
{% macro export_links() %}{{ return(adapter.dispatch('export_links')()) }}{% endmacro %}

{% macro duckdb__export_links() %}
    (
        select
            split_part(filename, '/', -4) as source_name,
            split_part(filename, '/', -3) as table_name,
            split_part(filename, '/', -2) as export_id,
            cast(json_extract_string(content, '$.window_start') as timestamptz) as window_start,
            json_extract_string(content, '$.table_id') as table_id
        from read_text('{{ env_var("PLATFORM_RAW", ".data/raw") }}/[!.]*/*/*/_link.json')
    )
{% endmacro %}

{#- A record that an older version wrote has no links. -#}
{% macro bigquery__export_links() %}
    {%- set columns = [] -%}
    {%- if execute -%}
        {%- set record = adapter.get_relation(target.project, raw_dataset(), '_exports') -%}
        {%- set columns = adapter.get_columns_in_relation(record) | map(attribute='name') | list -%}
    {%- endif -%}
    (
        select
            source_name,
            table_name,
            export_id,
            {{ 'window_start' if 'window_start' in columns else 'cast(null as timestamp)' }} as window_start,
            {{ 'table_id' if 'table_id' in columns else 'cast(null as string)' }} as table_id
        from {{ export_records() }}
    )
{% endmacro %}


{#- The segments of some exports, each {id, at, start, table}; of full exports `start` is none. -#}
{% macro segments_of(exports) %}
    {%- set segments = [] -%}
    {%- set fulls = exports | selectattr('start', 'none') | sort(attribute='at,id') -%}
    {%- set windows = exports | rejectattr('start', 'none') | sort(attribute='start', reverse=true) -%}
    {%- set limit = namespace(at=none) -%}
    {%- for _ in fulls -%}
        {%- set bases = fulls if limit.at is none else fulls | selectattr('at', 'lt', limit.at) | list -%}
        {%- set known = windows if limit.at is none else windows | selectattr('at', 'le', limit.at) | list -%}
        {%- if bases -%}
            {%- set segment = furthest_segment(bases, known) -%}
            {%- do segment.update(next_at=limit.at) -%}
            {%- do segments.insert(0, segment) -%}
            {%- set limit.at = segment.at -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(segments) }}
{% endmacro %}

{#- The full export that reaches furthest, with its windows; those are given from the last to begin to the first. -#}
{% macro furthest_segment(bases, windows) %}
    {%- if not windows -%}
        {{ return({'base': bases[-1].id, 'at': bases[-1].at, 'windows': []}) }}
    {%- endif -%}
    {%- set onward = {} -%}
    {%- for window in windows -%}
        {%- set after = onward.get(window.table ~ ' ' ~ window.at) -%}
        {%- set reach = after.reach if after else window.at -%}
        {%- set place = window.table ~ ' ' ~ window.start -%}
        {%- set step = {'reach': reach, 'window': window, 'goodness': [reach, -window.at, window.id]} -%}
        {%- if place not in onward or step.goodness > onward[place].goodness -%}
            {%- do onward.update({place: step}) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set tables = windows | map(attribute='table') | unique | list -%}
    {%- set best = namespace(goodness=[], base=none, step=none) -%}
    {%- for base in bases -%}
        {%- set first = namespace(step=none) -%}
        {%- for table in ([base.table] if base.table else tables) -%}
            {%- set step = onward.get(table ~ ' ' ~ base.at) -%}
            {%- if step and (first.step is none or step.goodness > first.step.goodness) -%}
                {%- set first.step = step -%}
            {%- endif -%}
        {%- endfor -%}
        {%- set goodness = [first.step.reach if first.step else base.at, base.at, base.id] -%}
        {%- if goodness > best.goodness -%}
            {%- set best.goodness = goodness -%}
            {%- set best.base = base -%}
            {%- set best.step = first.step -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set links = [] -%}
    {%- set way = namespace(step=best.step) -%}
    {%- for _ in windows if way.step -%}
        {%- do links.append(way.step.window.id) -%}
        {%- set way.step = onward.get(way.step.window.table ~ ' ' ~ way.step.window.at) -%}
    {%- endfor -%}
    {{ return({'base': best.base.id, 'at': best.base.at, 'windows': links}) }}
{% endmacro %}
