-- As first exported, so that nothing a later export says reaches past dates; films that went away stay.
select film_id, title, released, genres
from {{ ref('stg_movies__films') }}
qualify _exported_at = min(_exported_at) over (partition by film_id)
