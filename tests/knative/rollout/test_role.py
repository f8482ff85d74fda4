"""The Role is what the page says; the cluster's tests run a rollout with a service account that has only that."""

from importlib.resources import files

import yaml
from tests.end_to_end.pages import PAGES, section, table

(DOCUMENTED,) = (section(page, "### Rights") for page in PAGES.values() if "\n### Rights\n" in page)
ROLE, ACCOUNT, BINDING = yaml.safe_load_all((files("snooze.knative") / "rollout/role.yaml").read_text("utf-8"))


def test_the_page_lists_the_rights_of_the_role() -> None:
    rights = {
        (group or "core", resource, ", ".join(rule["verbs"]))
        for rule in ROLE["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }

    assert {(group.strip("`"), name.strip("`"), verbs) for group, name, verbs, _ in table(DOCUMENTED)} == rights


def test_nothing_can_be_deleted_or_read_that_is_secret() -> None:
    for rule in ROLE["rules"]:
        assert set(rule["verbs"]) <= {"get", "list", "create", "patch"}
        assert not {"secrets", "*"} & set(rule["resources"])


def test_the_binding_gives_the_role_to_the_account() -> None:
    assert BINDING["roleRef"] == {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "Role",
        "name": ROLE["metadata"]["name"],
    }
    assert BINDING["subjects"] == [{"kind": "ServiceAccount", "name": ACCOUNT["metadata"]["name"]}]
