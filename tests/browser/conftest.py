"""The browser and the server that the tests of this folder share, and what is said where there is no browser."""

import os

import pytest
from playwright.sync_api import sync_playwright

from browser import lab


@pytest.fixture(scope="session")
def browser(request):
    with sync_playwright() as playwright:
        path = lab.find_browser(playwright.chromium.executable_path)
        if path is None:
            if os.environ.get("CI"):
                pytest.fail(f"CI has no browser for the demos: {lab.HOW}")
            pytest.skip(f"NOT RUN: no browser; {lab.HOW}")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    server = lab.Server(tmp_path_factory.mktemp("lab"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def open_book(browser, server):
    """open_book(name): a notebook run from its first cell to its last; every one is closed at the end."""
    books = []

    def opened(name: str, classic: bool = False) -> lab.Book:
        books.append(lab.Book(browser, server, name, classic))
        return books[-1].run_all()

    yield opened
    for book in books:
        book.close()
