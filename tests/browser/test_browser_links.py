"""Links to the glossary in JupyterLab: its anchors are those of `glossary.terms`, and a link leads to its term."""

import glossary
import hygiene
import nbformat
import pytest

from browser import lab

KNOWN = glossary.terms(hygiene.read(glossary.FOLDER / glossary.PAGE))
SHOWN = ".jp-NotebookPanel:not(.lm-mod-hidden)"


@pytest.fixture(scope="module")
def page(browser, server):
    """JupyterLab with a notebook of links, one to each term, and with the glossary."""
    links = "\n\n".join(f"[to {anchor}]({glossary.PAGE}#{anchor})" for anchor in KNOWN)
    cells = [nbformat.v4.new_markdown_cell(f"# Links\n\n{links}")]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), server.folder / "notebooks" / "links.ipynb")
    book = lab.Book(browser, server, "links.ipynb")
    follow(book.page, next(iter(KNOWN)))  # opens the glossary, at its top
    book.page.locator(f"{SHOWN} h1", has_text="Glossary").wait_for()
    yield book.page
    book.close()


def follow(page, anchor):
    page.locator(".lm-DockPanel-tabBar .lm-TabBar-tab", has_text="links.ipynb").first.click()
    page.get_by_role("link", name=f"to {anchor}", exact=True).click()


def comes_into_view(page, anchor):
    heading = page.locator(f'{SHOWN} h3[data-jupyter-id="{anchor}"]')
    inside = "h => { const y = h.getBoundingClientRect().y; return y > 0 && y < innerHeight - 100 }"
    page.wait_for_function(inside, arg=heading.element_handle())


def test_the_headings_of_the_terms_have_these_anchors(page):
    headings = page.locator(f"{SHOWN} h3[data-jupyter-id]")
    found = headings.evaluate_all("all => all.map(each => each.getAttribute('data-jupyter-id'))")
    assert found == list(KNOWN)


@pytest.mark.parametrize("anchor", ["layer-loss", "FTP-SH", "Novikoff's-bound", "XOR", "Adam"])
def test_a_link_leads_to_its_term(page, anchor):
    follow(page, anchor)
    comes_into_view(page, anchor)


def test_a_link_within_the_page_leads_to_its_term(page):
    page.locator(f"{SHOWN} h1", has_text="Glossary").scroll_into_view_if_needed()
    page.locator(f"{SHOWN} td a", has_text="general position").click()
    comes_into_view(page, "general-position")
