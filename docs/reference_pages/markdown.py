"""Words, tables and pages as Markdown.

Belongs here: what makes text Markdown, whatever it says. Does not belong here: reading the code.
"""

import re


def text_of(said: str) -> str:
    """Plain words as Markdown: what is not in backticks may not become markup."""
    parts = re.split(r"(`[^`\n]*`)", said.strip())
    return "".join(part if part.startswith("`") else re.sub(r"([<>*\[\]$#])", r"\\\1", part) for part in parts)


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines
    )


def page(title: str, *parts: str) -> str:
    return "\n\n".join([f"# {title}", *filter(None, parts)]) + "\n"
