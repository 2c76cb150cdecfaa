"""What Entra does, in its order."""

from __future__ import annotations

from functools import partial

from gateway.rehearsal import groups as okta_groups
from gateway.rehearsal import refused
from gateway.rehearsal.entra import groups, users
from gateway.rehearsal.entra.messages import Spelling
from gateway.rehearsal.scripts import Step


def steps(spelling: Spelling) -> tuple[Step, ...]:
    """A whole life of two users and a group."""
    return (
        Step("test connection: nobody has a random userName", users.test_the_connection),
        Step("refused: an unknown token", refused.call_with_an_unknown_token),
        Step("refused: Authorization without a scheme", refused.call_with_a_malformed_authorization),
        Step("refused: an unknown user", refused.get_an_unknown_user),
        Step("refused: an unknown group", refused.get_an_unknown_group),
        Step("refused: a user without userName", refused.create_a_user_without_a_name),
        Step("refused: broken JSON", refused.send_broken_json),
        Step("user: look up, nobody yet", users.look_up_nobody),
        Step("user: create, with nulls", users.create_ada),
        Step("user: look up by userName and externalId", users.look_up_ada),
        Step("user: look up by emails of type work", users.look_up_ada_by_email),
        Step("user: create another", users.create_bo),
        Step("user: update several attributes at once", partial(users.update_the_profile, spelling)),
        Step("user: set the manager", partial(users.set_the_manager, spelling)),
        Step("user: disable", partial(users.disable_ada, spelling)),
        Step("user: enable", users.enable_ada),
        Step("group: look up without members, none yet", groups.look_up_no_group),
        Step("group: create", groups.create_the_group),
        Step("group: rename", okta_groups.rename_the_group),
        Step("group: add two members, one by one", groups.add_the_members),
        Step("group: look up without members", groups.look_up_the_group),
        Step("group: remove one member, the other stays", partial(groups.remove_one_member, spelling)),
        Step("group: add a member who is there", groups.start_anew),
        Step("group: delete", okta_groups.unlink_the_group),
        Step("user: delete", users.delete_bo),
    )
