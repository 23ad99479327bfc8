{#- Reads one item of every DynamoDB type through the project's macros. -#}
with items as (
    select '{
        "text": {"S": "a.b"}, "exact": {"N": "12345678901234567890123456789012345678"},
        "fraction": {"N": "-0.123456789"}, "small": {"N": "7"}, "yes": {"BOOL": true},
        "epoch": {"N": "888710400"}, "iso": {"S": "1998-03-01T02:00:00+02:00"}, "naive": {"S": "1998-03-01T00:00:00"},
        "words": {"SS": ["b", "a"]}, "numbers": {"NS": ["10", "9.5"]}, "nothing": {"NULL": true},
        "profile": {"M": {"plan": {"S": "pro"}, "a.b": {"S": "dotted"}}},
        "visits": {"L": [{"N": "1"}, {"M": {"page": {"S": "home"}}}]}
    }' as Item
)

select
    {{ dynamodb_string('Item', 'text') }} as text_value,
    {{ dynamodb_number_text('Item', 'exact') }} as exact_text,
    {{ dynamodb_number('Item', 'exact', scale=0) }} as exact_number,
    {{ dynamodb_number('Item', 'fraction') }} as fraction,
    {{ dynamodb_integer('Item', 'small') }} as small,
    {{ dynamodb_boolean('Item', 'yes') }} as yes,
    {{ dynamodb_timestamp('Item', 'epoch') }} = timestamptz '1998-03-01 00:00:00+00' as epoch_is_right,
    {{ dynamodb_timestamp('Item', 'iso', type='S') }} = timestamptz '1998-03-01 00:00:00+00' as iso_is_right,
    {{ dynamodb_timestamp('Item', 'naive', type='S') }} = timestamptz '1998-03-01 00:00:00+00' as naive_is_right,
    {{ dynamodb_string_set('Item', 'words') }} as words,
    {{ dynamodb_number_set('Item', 'numbers', scale=1) }} as numbers,
    {{ dynamodb_string('Item', 'profile.plan') }} as plan,
    {{ dynamodb_string('Item', ['profile', 'a.b']) }} as dotted,
    {{ dynamodb_string(dynamodb_map('Item', 'profile'), 'plan') }} as plan_in_map,
    {{ dynamodb_integer('Item', 'visits[0]') }} as first_visit,
    {{ dynamodb_string('Item', 'visits[1].page') }} as second_page,
    len({{ dynamodb_list('Item', 'visits') }}) as visits,
    {{ dynamodb_has('Item', 'nothing') }} as has_nothing,
    {{ dynamodb_is_null('Item', 'nothing') }} as nothing_is_null,
    {{ dynamodb_has('Item', 'absent') }} as has_absent,
    {{ dynamodb_is_null('Item', 'absent') }} as absent_is_null,
    {{ dynamodb_string('Item', 'nothing') }} as null_text,
    {{ dynamodb_integer('Item', 'absent') }} as absent_number,
    {{ dynamodb_string_set('Item', 'absent') }} as absent_words
from items
