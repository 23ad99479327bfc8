{#- Numbers that the types asked for cannot hold; DuckDB evaluates only the columns a query names. -#}
with items as (
    select '{"tenth": {"N": "0.0000000001"}, "half": {"N": "1.5"}, "huge": {"N": "1E+40"}}' as Item
)

select
    {{ dynamodb_number('Item', 'tenth') }} as tenth,
    {{ dynamodb_integer('Item', 'half') }} as half,
    {{ dynamodb_number('Item', 'huge') }} as huge
from items
