{#- Values that the types asked for cannot hold; BigQuery evaluates only the columns a query names. -#}
with items as (
    select
        json '''{
            "tenth": {"N": "0.0000000001"}, "half": {"N": "1.5"}, "huge": {"N": "1E+40"},
            "long": {"N": "123456789012345678901234567890"}, "beyond": {"N": "-12345678901234567890"}
        }''' as Item,
        bignumeric '1.0123456789' as amount
)

select
    {{ dynamodb_number('Item', 'tenth') }} as tenth,
    {{ dynamodb_integer('Item', 'half') }} as half,
    {{ dynamodb_number('Item', 'huge') }} as huge,
    {{ dynamodb_number('Item', 'long') }} as long,
    {{ dynamodb_integer('Item', 'beyond') }} as beyond,
    {{ decimal_of('amount') }} as amount
from items
