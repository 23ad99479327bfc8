select
    {{ dynamodb_integer('Item', 'film_id') }} as film_id,
    {{ dynamodb_string('Item', 'title') }} as title,
    {{ dynamodb_integer('Item', 'released') }} as released,
    {{ dynamodb_string_set('Item', 'genres') }} as genres,
    _export_id,
    _exported_at
from {{ source('movies', 'films') }}
where {{ is_in_loaded_export('movies', 'films') }}
