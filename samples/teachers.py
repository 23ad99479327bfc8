"""The teacher file of the sample campaign that asks which viewers think well of Sci-Fi.

Belongs here: the rule that labels a viewer. Does not belong here: how a campaign reads a teacher file.
"""

import os
from pathlib import Path

import duckdb

from samples.datasets import movielens_films, movielens_ratings

SCIFI_FILE = "scifi_fans.csv"

_SCIFI = """
with numbered as (
    select viewer_id, rated_at, row_number() over (partition by viewer_id order by rated_at, film_id) as n
    from ratings
),
asked as (select viewer_id, rated_at + 1 as as_of from numbered where n = 20),
judged as (
    select viewer_id, rated_at, rating >= 4 and list_contains(string_split(genres, ' '), 'Sci-Fi') as liked
    from ratings join films on films.film_id::bigint = ratings.film_id
)
select
    asked.viewer_id,
    strftime(make_timestamp(asked.as_of * 1000000), '%Y-%m-%dT%H:%M:%SZ') as as_of,
    (count(judged.rated_at) > 0 and 10 * count(*) filter (judged.liked) >= count(judged.rated_at))::int as
    label from asked left join judged on judged.viewer_id = asked.viewer_id and judged.rated_at >= asked.as_of
    and judged.rated_at < asked.as_of + 28 * 86400 group by asked.viewer_id, asked.as_of order by
    asked.viewer_id
"""


def write_scifi_teacher(path: Path, cache: Path) -> Path:
    """Writes `viewer_id,as_of,label` for all 943 viewers, 239 of them positive, and returns `path`.

    as_of: one second after the viewer's 20th rating (by time, then film id), ISO 8601 in UTC. label: 1 when
    at least 10 % of the ratings in [as_of, as_of + 28 days) are Sci-Fi films rated 4 or 5; a viewer with no
    rating in that window (59 of them) gets 0. An existing file is replaced by one of the same bytes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as engine:
        engine.register("ratings", movielens_ratings(cache))
        engine.register("films", movielens_films(cache))
        rows = engine.execute(_SCIFI).fetchall()
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    lines = ["viewer_id,as_of,label", *(f"{viewer},{as_of},{label}" for viewer, as_of, label in rows)]
    aside.write_text("\n".join(lines) + "\n", encoding="utf-8")
    os.replace(aside, path)
    return path
