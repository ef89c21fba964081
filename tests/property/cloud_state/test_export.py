"""Any document, applied and exported: the export describes the cloud, and applying it changes nothing."""

from __future__ import annotations

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.faces.export import Choice, Exporter, render
from ansible_collections.stackwright.cloud.tests.reading import read
from hypothesis import given
from hypothesis import strategies as st

from .test_convergence import Desk, Document, desk, documents, empty, quick


def exported(there: Desk, system: bool) -> tuple[str, Document]:
    """The text of an export, and the document that a reader of the text gets."""
    text = render(Exporter(Cloud(there.login), Choice(system=system)).export())
    document: Document = read(text)["cloud_state_document"]
    return text, document


@quick
@given(wanted=documents(), system=st.booleans())
def test_applying_an_export_changes_nothing(wanted: Document, system: bool) -> None:
    with desk() as there:
        there.run(wanted, owner="")
        old = there.snapshot()
        text, document = exported(there, system)
        assert empty(there.run(document, owner=""))
        assert there.snapshot() == old
        assert exported(there, system)[0] == text


@quick
@given(wanted=documents())
def test_an_export_makes_the_same_in_an_empty_cloud(wanted: Document) -> None:
    with desk() as there, desk() as other:
        there.run(wanted, owner="")
        text, document = exported(there, system=False)
        for user in document.get("users", []):
            user["password"] = "pw"
        other.run(document, owner="")
        assert exported(other, system=False)[1] == read(text)["cloud_state_document"]
