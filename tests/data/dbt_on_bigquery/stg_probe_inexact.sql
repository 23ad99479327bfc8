{#- Values that the types asked for cannot hold; BigQuery evaluates only the columns a query names. -#}
with items as (
    select
        json '''{
            "tenth": {"N": "0.0000000001"}, "half": {"N": "1.5"}, "huge": {"N": "1E+40"},
            "long": {"N": "123456789012345678901234567890"}, "beyond": {"N": "-12345678901234567890"},
            "figures": {"NS": ["1", "0.12345678901"]}, "figures_long": {"NS": ["123456789012345678901234567890.5"]}
        }''' as Item,
        bignumeric '1.0123456789' as amount
)

select
    {{ dynamodb_number('Item', 'tenth') }} as tenth,
    {{ dynamodb_integer('Item', 'half') }} as half,
    {{ dynamodb_number('Item', 'huge') }} as huge,
    {{ dynamodb_number('Item', 'long') }} as long,
    {{ dynamodb_integer('Item', 'beyond') }} as beyond,
    {{ dynamodb_number_set('Item', 'figures') }} as figures,
    {{ dynamodb_number_set('Item', 'figures_long') }} as figures_long,
    {{ decimal_of('amount') }} as amount
from items
