select
    {{ dynamodb_integer('Item', 'viewer_id') }} as viewer_id,
    {{ dynamodb_integer('Item', 'film_id') }} as film_id,
    {{ dynamodb_integer('Item', 'rating') }} as rating,
    {{ dynamodb_timestamp('Item', 'rated_at') }} as rated_at
from {{ source('movies', 'ratings') }}
where {{ is_in_latest_export('movies', 'ratings') }}
