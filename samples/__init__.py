"""Sample data that people really produced, and writers of AWS exports in their exact layout.

Belongs here: fetching the two public data sets, turning them into tables and items, and writing those as
Aurora snapshot exports and DynamoDB full exports, for the demo and for tests (which break such exports on
purpose). Does not belong here: reading exports, which is `platform_assets.exports`; nothing here imports the
platform.
"""
