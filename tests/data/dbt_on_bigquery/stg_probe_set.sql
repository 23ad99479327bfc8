{#- A set of numbers with one that has more decimals than are asked for. -#}
select {{ dynamodb_number_set('Item', 'figures') }} as figures
from (select json '{"figures": {"NS": ["1", "0.12345678901"]}}' as Item) as items
