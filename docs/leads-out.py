"""A preprocessor of mdbook: links that lead out of `docs/` become links to the repository.

On a page, `[the policy](../SECURITY.md)` is right in the repository and dead in the book, which has only the pages of this
folder. mdbook hands over its configuration and all chapters as JSON, and takes the chapters back.
"""

import json
import posixpath
import re
import sys

LINK = re.compile(r"\]\((?![a-z]+:)([^)#\s]+)(#[^)\s]*)?\)")


def leads_out(text, folder, repository):
    """`text` of a page in `folder` (of docs), with links out of docs made absolute."""

    def absolute(match):
        target, anchor = match.group(1), match.group(2) or ""
        path = posixpath.normpath(posixpath.join("docs", folder, target))
        if path.startswith("docs/"):
            return match.group(0)
        return f"]({repository}/blob/main/{path}{anchor})"

    return LINK.sub(absolute, text)


def walk(items, repository):
    for item in items:
        chapter = item.get("Chapter") if isinstance(item, dict) else None
        if chapter:
            folder = posixpath.dirname(chapter.get("path") or "")
            chapter["content"] = leads_out(chapter["content"], folder, repository)
            walk(chapter["sub_items"], repository)


def main():
    if sys.argv[1:2] == ["supports"]:
        sys.exit(0 if sys.argv[2] == "html" else 1)
    context, book = json.load(sys.stdin)
    repository = context["config"]["preprocessor"]["leads-out"]["repository"]
    walk(book.get("items") or book.get("sections") or [], repository)
    json.dump(book, sys.stdout)


if __name__ == "__main__":
    main()
