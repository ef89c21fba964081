"""Runs on the control node: resolves the catalogue for a host, calls the engine there, and proves that one can still
log in."""

from __future__ import annotations

import functools
from typing import Any

from ansible.module_utils.common.validation import check_type_dict, check_type_list
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible_collections.stackwright.cloud.plugins.module_utils.host import fresh_login
from ansible_collections.stackwright.cloud.plugins.module_utils.stig import catalogue as catalogues
from ansible_collections.stackwright.cloud.plugins.module_utils.stig import journal

MODULE = "stackwright.cloud.stig"


@functools.cache
def load_catalogue() -> catalogues.Catalogue:
    """The catalogue, read once for all hosts of a process."""
    return catalogues.load()


class ActionModule(ActionBase):  # type: ignore[misc]
    """See plugins/modules/stig.py for the documentation."""

    _connection: Any
    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Resolve, call, prove."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        arguments = dict(self._task.args)
        mode = str(arguments.get("mode", "audit"))
        profile = str(arguments.get("profile", "stig"))
        host = str(variables.get("inventory_hostname", ""))
        try:
            catalogue = load_catalogue()
            controls = catalogues.resolve(
                catalogue,
                profile,
                check_type_list(arguments.get("add") or []),
                check_type_list(arguments.get("exclude") or []),
                self._parameters(arguments, variables),
                list(arguments.get("waivers") or []),
                host,
                list(variables.get("group_names", [])),
            )
        except catalogues.CatalogueError as error:
            return result | {"failed": True, "msg": " ".join(error.problems), "problems": error.problems}
        except TypeError as error:
            return result | {
                "failed": True,
                "msg": f"hardening_parameters must be a dictionary, the others lists: {error}",
            }
        request: dict[str, Any] = {
            "mode": mode,
            "profile": profile,
            "controls": controls if mode != "rollback" else [],
            "host": host,
            "address": str(variables.get("ansible_host", host)),
            "run_id": str(arguments.get("run") or "") or None,
            "undo_after": int(arguments.get("undo_after", 180)),
            "apt_wait": int(arguments.get("apt_wait", 120)),
        }
        if mode == "audit" and self._task.check_mode:
            request["mode"] = "audit"
        outcome = self._call(request, variables)
        if outcome.get("failed"):
            return result | outcome
        if mode == "enforce" and outcome.get("unproved") and not self._task.check_mode:
            outcome = self._prove(request, outcome, variables)
        if not outcome.get("failed"):
            outcome["document"] = catalogues.complete(catalogue, outcome["document"])
        outcome.pop("invocation", None)
        if boolean(arguments.get("with_controls", False)):
            outcome["controls"] = controls
        if mode == "enforce" and outcome.get("problems"):
            outcome["warnings"] = [*outcome.get("warnings", []), *outcome["problems"]]
        return result | outcome

    def _parameters(self, arguments: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """The operator's parameters, and what the account that Ansible comes in with must keep: its sudo, or root's
        login."""
        values: dict[str, Any] = dict(check_type_dict(arguments.get("parameters") or {}))
        become = self._connection.become
        login = self._connection.get_option("remote_user") if self._connection.has_option("remote_user") else None
        if "ssh_root_login" not in values and (login or self._play_context.remote_user) == "root":
            values["ssh_root_login"] = "prohibit-password"
        has_password = bool(become is not None and become.get_option("become_pass", playcontext=self._play_context))
        if "sudo_without_password" not in values and become is not None and not has_password:
            user = login or self._play_context.remote_user
            if user and user != "root":
                values["sudo_without_password"] = [str(user)]
        return values

    def _call(self, request: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        arguments = {"mode": "audit", "request": request}
        done: dict[str, Any] = self._execute_module(
            module_name=MODULE, module_args=arguments, task_vars=variables, wrap_async=False
        )
        return done

    def _prove(self, request: dict[str, Any], outcome: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """Confirm the access changes after a fresh login; find and undo the group that is in the way otherwise."""
        run_id = outcome["document"]["run_id"]
        groups = [one for one in reversed(journal.ACCESS_GROUPS) if one in outcome["unproved"]]
        outcome.setdefault("problems", [])

        def undo(group: str) -> dict[str, Any]:
            request_back = {**request, "mode": "undo", "run_id": run_id, "groups": [group], "controls": []}
            return self._call(request_back, variables)

        proof = fresh_login.prove(
            groups,
            self._fresh_login,
            undo,
            lambda: self._wait_for_timer(int(request["undo_after"])),
            lambda: list(
                self._call({**request, "mode": "undo", "run_id": run_id, "groups": [], "controls": []}, variables).get(
                    "unproved", []
                )
            ),
        )
        if "sudo" in proof.undone:
            proof.problems.append(
                "Rules of sudo were taken back. Where one of them lets Ansible's account become root, "
                "name the account, %group, alias "
                "or #number that the rule begins with in hardening parameter sudo_without_password, or "
                "give Ansible a become password."
            )
        undone = proof.undone
        outcome["problems"] = [*outcome["problems"], *proof.problems]
        outcome["undone"] = undone
        if proof.failure:
            return {
                "failed": True,
                "msg": f"No fresh login is possible even with all access changes undone: {proof.failure}. "
                "Look at the host's sshd and sudo logs.",
                "run_id": run_id,
            }
        postponed = list(outcome.get("postponed", []))
        controls = request["controls"] if postponed else []
        kept = self._call(
            {**request, "mode": "confirm", "run_id": run_id, "controls": controls, "postponed": postponed}, variables
        )
        if kept.get("failed"):
            return kept
        outcome["problems"] = [*outcome.get("problems", []), *kept.get("problems", [])]
        latest = kept if postponed else self._call({**request, "mode": "audit"}, variables) if undone else None
        if latest is not None and not latest.get("failed"):
            changed = {one["id"]: one["changed"] for one in outcome["document"]["findings"]}
            document = latest["document"]
            document["run_id"], document["mode"] = run_id, "enforce"
            for one in document["findings"]:
                one["changed"] = one["changed"] or changed.get(one["id"], False)
            document["totals"]["changed"] = sum(one["changed"] for one in document["findings"])
            outcome["document"] = document
        return outcome

    def _wait_for_timer(self, seconds: int) -> str:
        """Wait until the host's timer has given the access back; returns why a login still fails, or nothing."""
        return fresh_login.wait_for_timer(self._fresh_login, seconds)

    def _fresh_login(self) -> str:
        """Log in anew over the same path and become root; returns why that failed, or nothing."""
        return fresh_login.fresh_login(self)
