{#- insert_overwrite, not MERGE: see orders. A film that becomes known changes the days on which it was rated. -#}
{% call by_changed_days('rated_at') %}
with films as (
    select film_id, released, genres
    from {{ ref('stg_movies__films') }}
    qualify _exported_at = min(_exported_at) over (partition by film_id)
)

select
    cast(ratings.viewer_id as {{ dbt.type_string() }})
    || '-' || cast(ratings.film_id as {{ dbt.type_string() }})
    || '-' || cast({{ epoch_of_timestamp('ratings.rated_at') }} as {{ dbt.type_string() }}) as rating_id,
    ratings.viewer_id,
    ratings.film_id,
    ratings.rated_at,
    ratings.rating,
    coalesce(films.genres, {{ no_strings() }}) as genres,
    films.released
from {{ ref('stg_movies__ratings') }} as ratings
left join films on films.film_id = ratings.film_id
{% endcall %}
