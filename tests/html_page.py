# SPDX-License-Identifier: Apache-2.0
"""A page as tests look at it: its elements and its words."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """The page's elements; refuses one that is not closed where it was opened."""

    def __init__(self, html):
        super().__init__()
        self.open = []
        self.elements = []  # (tag, attributes)
        self.words = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    def all(self, tag):
        """The attributes of every such element."""
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self):
        return " ".join("".join(self.words).split())


def assert_offline(html):
    """It loads nothing, runs nothing, and tells the browser so."""
    page = Page(html)
    assert "@import" not in html
    assert "url(" not in html
    names = {name for _, attributes in page.elements for name in attributes}
    assert not names & {"src", "href", "srcset", "xlink:href", "onclick", "onload"}
    assert not {tag for tag, _ in page.elements} & {"script", "link", "img", "iframe", "object"}
    policy = next(a["content"] for a in page.all("meta") if "http-equiv" in a)
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"
